"""How a version of the chassis' tables becomes a migration of a module's chain."""

from collections.abc import Callable, Sequence
from typing import Protocol

from alembic import op

Execute = Callable[[str], None]
Step = Callable[[], None]


class Piece(Protocol):
    """A file of SQL: `{role}` in it stands for the module's runtime role."""

    UP: str
    DOWN: str


class Version(Protocol):
    """A file that names the pieces that come together."""

    @property
    def PIECES(self) -> Sequence[Piece]: ...  # noqa: N802 - a module's constant


def up(execute: Execute, module: str, *versions: Version) -> None:
    for version in versions:
        for piece in version.PIECES:
            execute(piece.UP.replace("{role}", f"tenon_{module}"))


def down(execute: Execute, module: str, *versions: Version) -> None:
    for version in reversed(versions):
        for piece in reversed(version.PIECES):
            execute(piece.DOWN.replace("{role}", f"tenon_{module}"))


def migration(module: str, *versions: Version) -> tuple[Step, Step]:
    """`upgrade` and `downgrade` of the migration that brings these versions, oldest first."""

    def upgrade() -> None:
        up(op.execute, module, *versions)

    def downgrade() -> None:
        down(op.execute, module, *versions)

    return upgrade, downgrade
