"""What the built-in test provider remembers: a foreign system's ledger by idempotency key, never joined with ours."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        create table test_provider_ledger (
            key text collate "C" not null constraint test_provider_ledger_pk primary key,
            operation text collate "C" not null,
            authorization_key text collate "C",
            reference text collate "C",
            amount bigint,
            currency text collate "C",
            payment_method text collate "C",
            news text collate "C" not null,
            failure text,
            later text collate "C",
            calls integer not null default 1,
            created_at timestamptz not null default now()
        )
    """)
    op.execute("create index test_provider_ledger_by_authorization on test_provider_ledger (authorization_key, operation)")
    op.execute("grant select, insert, update on test_provider_ledger to tenon_payments")


def downgrade() -> None:
    op.execute("drop table test_provider_ledger")
