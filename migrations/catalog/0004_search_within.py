"""Search finds the words within a category and a status by one index: those who have all of them, and nobody else."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Within a transaction, as each migration is: no product is changed for the seconds that it takes, and all are found.
    op.execute("-- squawk-ignore require-concurrent-index-deletion\ndrop index product_search")
    op.execute("""
        -- squawk-ignore require-concurrent-index-creation
        create index product_search on product using gin (search, (array[status]), (array[category_id])) with (fastupdate = off)
    """)


def downgrade() -> None:
    op.execute("drop index product_search")
    op.execute("create index product_search on product using gin (search) with (fastupdate = off)")
