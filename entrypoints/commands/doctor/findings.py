"""What the doctor found: one look at one thing, and the fix where something is wrong."""

from typing import Final, Literal

import msgspec

Severity = Literal["ok", "note", "warning", "error"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note", "ok")


class Finding(msgspec.Struct, frozen=True):
    """`check` is stable, for programs. An error keeps Tenon from working, of a warning somebody should know."""

    check: str
    severity: Severity
    says: str
    fix: str = ""


def ok(check: str, says: str) -> Finding:
    return Finding(check, "ok", says)


def note(check: str, says: str, fix: str = "") -> Finding:
    return Finding(check, "note", says, fix)


def warning(check: str, says: str, fix: str) -> Finding:
    return Finding(check, "warning", says, fix)


def error(check: str, says: str, fix: str) -> Finding:
    return Finding(check, "error", says, fix)
