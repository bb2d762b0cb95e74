"""Orders are listed by status, too: one walk for each status, the newest first."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Within a transaction, as each migration is: a shop's orders are indexed in a second, and no order is placed meanwhile.
    for sql in (
        "create index customer_order_by_status on customer_order (status, id) where status <> 'draft'",
        "create index customer_order_of_user_by_status on customer_order (user_id, status, id) where status <> 'draft'",
    ):
        op.execute(f"-- squawk-ignore require-concurrent-index-creation\n{sql}")
    for index in ("customer_order_placed", "customer_order_by_user"):
        op.execute(f"-- squawk-ignore require-concurrent-index-deletion\ndrop index {index}")


def downgrade() -> None:
    op.execute("create index customer_order_by_user on customer_order (user_id, id) where status <> 'draft'")
    op.execute("create index customer_order_placed on customer_order (id) where status <> 'draft'")
    op.execute("drop index customer_order_of_user_by_status")
    op.execute("drop index customer_order_by_status")
