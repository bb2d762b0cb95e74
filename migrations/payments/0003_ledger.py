"""The books: accounts, transactions and postings, append-only and in balance when a transaction commits.

Balances are a projection: `ledger_balance` sums the postings before `ledger_closing.through`, the rest is summed when asked.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        create table ledger_account (
            code text collate "C" not null constraint ledger_account_pk primary key,
            kind text not null constraint ledger_account_kind check (kind in ('asset', 'liability', 'contingent')),
            normal_side text not null constraint ledger_account_normal_side check (normal_side in ('debit', 'credit')),
            created_at timestamptz not null default now()
        )
    """)
    op.execute("""
        insert into ledger_account (code, kind, normal_side) values
            ('provider_receivable', 'asset', 'debit'),
            ('customer_payments', 'liability', 'credit'),
            ('authorizations', 'contingent', 'debit'),
            ('authorizations_offset', 'contingent', 'credit')
    """)
    op.execute("""
        create table ledger_transaction (
            id text collate "C" not null constraint ledger_transaction_pk primary key,
            source text collate "C" not null,
            source_id text collate "C" not null,
            kind text collate "C" not null,
            reverses text collate "C"
                constraint ledger_transaction_reverses_unique unique
                constraint ledger_transaction_reverses_fk references ledger_transaction (id),
            created_at timestamptz not null default now(),
            constraint ledger_transaction_source_unique unique (source_id, source, kind)
        )
    """)
    op.execute("""
        create table ledger_posting (
            id bigint generated always as identity constraint ledger_posting_pk primary key,
            transaction_id text collate "C" not null constraint ledger_posting_transaction_fk references ledger_transaction (id),
            account text collate "C" not null constraint ledger_posting_account_fk references ledger_account (code),
            currency text collate "C" not null constraint ledger_posting_currency check (currency ~ '^[A-Z]{3}$'),
            debit bigint not null,
            credit bigint not null,
            created_at timestamptz not null default now(),
            constraint ledger_posting_one_side check (debit >= 0 and credit >= 0 and (debit = 0) <> (credit = 0))
        )
    """)
    op.execute("create index ledger_posting_by_transaction on ledger_posting (transaction_id)")
    op.execute("create index ledger_posting_recent on ledger_posting (created_at)")
    op.execute("""
        create table ledger_balance (
            account text collate "C" not null constraint ledger_balance_account_fk references ledger_account (code),
            currency text collate "C" not null,
            debit bigint not null,
            credit bigint not null,
            constraint ledger_balance_pk primary key (account, currency)
        )
    """)
    op.execute("""
        create table ledger_closing (
            single boolean not null default true
                constraint ledger_closing_pk primary key
                constraint ledger_closing_one check (single),
            through timestamptz not null default '-infinity'
        )
    """)
    op.execute("insert into ledger_closing default values")
    _keep_in_balance()
    op.execute("grant select, insert on ledger_transaction, ledger_posting to tenon_payments")
    op.execute("grant select on ledger_account to tenon_payments")
    op.execute("grant select, insert, update on ledger_balance to tenon_payments")
    op.execute("grant select, update on ledger_closing to tenon_payments")


def _keep_in_balance() -> None:
    """A posting's transaction balances in each currency, and no transaction has fewer than two postings; checked at COMMIT."""
    op.execute("""
        create function ledger_check_balance() returns trigger language plpgsql set search_path from current as $body$
        begin
            if exists (
                select from ledger_posting where transaction_id = new.transaction_id
                group by currency having sum(debit) <> sum(credit)
            ) then
                raise exception 'ledger transaction % is out of balance', new.transaction_id
                    using errcode = 'check_violation', constraint = 'ledger_transaction_balanced';
            end if;
            return null;
        end
        $body$
    """)
    op.execute("""
        create function ledger_check_whole() returns trigger language plpgsql set search_path from current as $body$
        begin
            if (select count(*) from ledger_posting where transaction_id = new.id) < 2 then
                raise exception 'ledger transaction % has fewer than two postings', new.id
                    using errcode = 'check_violation', constraint = 'ledger_transaction_whole';
            end if;
            return null;
        end
        $body$
    """)
    op.execute("""
        create constraint trigger ledger_transaction_balanced after insert on ledger_posting
        deferrable initially deferred for each row execute function ledger_check_balance()
    """)
    op.execute("""
        create constraint trigger ledger_transaction_whole after insert on ledger_transaction
        deferrable initially deferred for each row execute function ledger_check_whole()
    """)


def downgrade() -> None:
    op.execute("drop table ledger_closing, ledger_balance, ledger_posting, ledger_transaction, ledger_account")
    op.execute("drop function ledger_check_balance()")
    op.execute("drop function ledger_check_whole()")
