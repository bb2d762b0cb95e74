"""An order that is worth nothing is placed without a payment."""

from alembic import op

revision = "0005"
down_revision = "0004"

CONSTRAINT = "customer_order_placed_whole"


def upgrade() -> None:
    op.execute(f"-- squawk-ignore ban-drop-constraint\nalter table customer_order drop constraint {CONSTRAINT}")
    op.execute(f"""
        alter table customer_order add constraint {CONSTRAINT} check (
            status = 'draft' or (num_nonnulls(number, placed_at) = 2 and (intent_id is null) = (total = 0))
        ) not valid
    """)
    op.execute(f"""
        -- squawk-ignore constraint-missing-not-valid
        alter table customer_order validate constraint {CONSTRAINT}
    """)


def downgrade() -> None:
    op.execute(f"alter table customer_order drop constraint {CONSTRAINT}")
    op.execute(f"""
        alter table customer_order add constraint {CONSTRAINT} check (
            status = 'draft' or num_nonnulls(number, placed_at, intent_id) = 3
        )
    """)
