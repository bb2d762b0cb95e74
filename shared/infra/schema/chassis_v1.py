"""All of the chassis' tables of a module, first version: the body of every module's first migration."""

from shared.infra.schema import events_v1, once_v1, saga_v1, tasks_v1
from shared.infra.schema.chassis import Piece

PIECES: tuple[Piece, ...] = (events_v1, tasks_v1, saga_v1, once_v1)
