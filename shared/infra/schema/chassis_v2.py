"""What the second version adds to the chassis' tables of a module: jobs that can be cancelled, the ticks of crons, ended sagas that go."""

from shared.infra.schema import saga_v2, tasks_v2
from shared.infra.schema.chassis import Piece

PIECES: tuple[Piece, ...] = (tasks_v2, saga_v2)
