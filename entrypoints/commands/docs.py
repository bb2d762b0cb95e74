"""What is generated from the code, so that it is true: a test fails when a file differs from what is written here."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from entrypoints.commands import event_catalogue
from entrypoints.commands.cards import cards, with_map
from entrypoints.container import compose
from entrypoints.development.home import ROOT
from entrypoints.http import create_app
from shared.infra import config, config_reference
from shared.infra.telemetry import configure_logging

NOWHERE: Final = {
    "TENON_ENVIRONMENT": "development",
    "TENON_DATABASE_URL": "postgresql://127.0.0.1/tenon",
    "TENON_DB_SECRET": "of no use",
    "TENON_SECRET": "of no use",
    "TENON_REDIS_URL": "redis://127.0.0.1",
    "TENON_MAIL_URL": "file:///",
    "TENON_LOG_LEVEL": "error",
}
"""Settings of an application that is only described."""


def openapi() -> bytes:
    """The document as `/openapi.json` answers it; nothing is connected to."""
    return asyncio.run(_ask("/openapi.json"))


async def _ask(path: str) -> bytes:
    configure_logging("console", "warning", sys.stderr)
    app = create_app(compose(config.load(NOWHERE)))
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types its scope more narrowly than httpx
    async with httpx.AsyncClient(transport=transport, base_url="http://tenon") as client:
        return (await client.get(path)).raise_for_status().content


def generated(root: Path = ROOT) -> Mapping[Path, str]:
    """Every generated file with the text that it should have."""
    readme = root / "README.md"
    return {
        readme: with_map(readme.read_text(encoding="utf-8"), cards(root)),
        root / ".env.example": config_reference.env_example(),
        root / "docs" / "configuration.md": config_reference.markdown(),
        root / "docs" / "events.md": event_catalogue.markdown(compose(config.load(NOWHERE)).modules()),
    }


def write(root: Path = ROOT) -> list[Path]:
    """Answers the files that had to change."""
    changed = []
    for path, text in generated(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path.relative_to(root))
    return changed
