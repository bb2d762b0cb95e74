"""Notifications that were sent long ago may be removed. They are found by their ids, which are in the order of time."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("grant delete on notification to tenon_notifications")


def downgrade() -> None:
    op.execute("revoke delete on notification from tenon_notifications")
