"""All of the chassis' tables of a module, first version: the body of every module's first migration."""

from collections.abc import Callable
from typing import Final

from alembic import op

from shared.infra.schema import events_v1, once_v1, saga_v1, tasks_v1

Execute = Callable[[str], None]
Step = Callable[[], None]

_PIECES: Final = (events_v1, tasks_v1, saga_v1, once_v1)


def up(execute: Execute, module: str) -> None:
    for piece in _PIECES:
        execute(piece.UP.replace("{role}", f"tenon_{module}"))


def down(execute: Execute, module: str) -> None:
    for piece in reversed(_PIECES):
        execute(piece.DOWN.replace("{role}", f"tenon_{module}"))


def migration(module: str) -> tuple[Step, Step]:
    """`upgrade` and `downgrade` of the module's first migration."""

    def upgrade() -> None:
        up(op.execute, module)

    def downgrade() -> None:
        down(op.execute, module)

    return upgrade, downgrade
