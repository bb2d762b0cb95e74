"""The date of the API that a client was written against: echoed, and refused when no version was published on it."""

from typing import Final

from shared.api.refusals import UnknownApiVersion

CURRENT: Final = "2026-11-01"
PUBLISHED: Final = frozenset({CURRENT})


def negotiate(requested: str | None) -> str:
    """The version to answer with. Older ones join PUBLISHED together with the transforms that keep their shapes."""
    if requested is None:
        return CURRENT
    if requested not in PUBLISHED:
        raise UnknownApiVersion(f"the published versions are: {', '.join(sorted(PUBLISHED))}")
    return requested
