"""The chassis' tables: log and cursors, tasks, sagas, idempotency keys."""

from alembic import op

from shared.infra.schema import chassis_v1

revision = "0001"
down_revision = None


def upgrade() -> None:
    chassis_v1.up(op.execute, "shelf")


def downgrade() -> None:
    chassis_v1.down(op.execute, "shelf")
