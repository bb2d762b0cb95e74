"""An order that is worth nothing is placed without a payment."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        -- squawk-ignore ban-drop-constraint
        alter table customer_order drop constraint customer_order_placed_whole
    """)
    op.execute("""
        alter table customer_order add constraint customer_order_placed_whole check (
            status = 'draft' or (num_nonnulls(number, placed_at) = 2 and (intent_id is null) = (total = 0))
        ) not valid
    """)
    op.execute("""
        -- squawk-ignore constraint-missing-not-valid
        alter table customer_order validate constraint customer_order_placed_whole
    """)


def downgrade() -> None:
    op.execute("alter table customer_order drop constraint customer_order_placed_whole")
    op.execute("""
        alter table customer_order add constraint customer_order_placed_whole check (
            status = 'draft' or num_nonnulls(number, placed_at, intent_id) = 3
        )
    """)
