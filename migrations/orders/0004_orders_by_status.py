"""Orders are listed by status, too: one walk for each status, the newest first."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Within a transaction, as each migration is: a shop's orders are indexed in a second, and no order is placed meanwhile.
    op.execute("""
        -- squawk-ignore require-concurrent-index-creation
        create index customer_order_by_status on customer_order (status, id) where status <> 'draft'
    """)
    op.execute("""
        -- squawk-ignore require-concurrent-index-creation
        create index customer_order_of_user_by_status on customer_order (user_id, status, id) where status <> 'draft'
    """)
    op.execute("""
        -- squawk-ignore require-concurrent-index-deletion
        drop index customer_order_placed, customer_order_by_user
    """)


def downgrade() -> None:
    op.execute("create index customer_order_by_user on customer_order (user_id, id) where status <> 'draft'")
    op.execute("create index customer_order_placed on customer_order (id) where status <> 'draft'")
    op.execute("drop index customer_order_of_user_by_status, customer_order_by_status")
