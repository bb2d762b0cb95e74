"""The settings described from their own definition: `.env.example` and `docs/configuration.md`."""

from typing import Any

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

from shared.infra.config import MIGRATION_URL, Settings, allowed, variable


def env_example() -> str:
    """The text of `.env.example`: every variable with its description, defaults commented out."""
    lines = [
        "# Every setting of Tenon. Written by `make docs` from shared/infra/config.py.",
        "# Tenon reads variables and no file: hand a copy of this one to what starts it, such as systemd's EnvironmentFile=.",
        "",
    ]
    for field in msgspec.structs.fields(Settings):
        name = variable(field.name)
        setting = f"{name}={_example(field)}" if field.required else f"# {name}={_default(field)}"
        lines += [f"# {_meta(field).description}", setting, ""]
    return "\n".join([*lines, "# For `tenon db` alone: the role that creates schemas and roles.", f"# {MIGRATION_URL}=", ""])


def markdown() -> str:
    """The text of `docs/configuration.md`: one row per variable."""
    rows = [_row(variable(f.name), allowed(f.type), _default(f), _meta(f).description or "") for f in msgspec.structs.fields(Settings)]
    return "\n".join(
        [
            "# Settings",
            "",
            "Written by `make docs` from `shared/infra/config.py`. A secret may be given as a file: `<NAME>_FILE`.",
            "",
            "| variable | value | default | what it does |",
            "|---|---|---|---|",
            *rows,
            _row(MIGRATION_URL, "text", "", "For `tenon db` alone: the role that creates schemas and roles; production servers refuse it."),
            "",
        ]
    )


def _row(name: str, kind: str, default: str, description: str) -> str:
    return f"| `{name}` | {kind} | {default} | {description} |"


def _meta(field: FieldInfo) -> Meta:
    merged: dict[str, Any] = {}
    for meta in field.type.__metadata__:
        merged |= {name: value for name in ("description", "examples", "ge", "le") if (value := getattr(meta, name)) is not None}
    return Meta(**merged)


def _example(field: FieldInfo) -> str:
    return str((_meta(field).examples or [""])[0])


def _default(field: FieldInfo) -> str:
    if field.required:
        return "required"
    return ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
