"""Accounts: something to move between rows."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
    create table account (
        id text collate "C" not null,
        balance bigint not null default 0,
        labels jsonb not null default '{"a:b": "100%"}',
        version bigint not null default 1,
        constraint account_pkey primary key (id),
        constraint account_not_overdrawn check (balance >= 0)
    );
    grant select, insert, update, delete on account to tenon_till;
    """)


def downgrade() -> None:
    op.execute("drop table account")
