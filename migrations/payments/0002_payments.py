"""Payment intents, the keys under which they were begun or forbidden, and the attempts at the provider."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        create table payment_intent (
            id text collate "C" not null constraint payment_intent_pk primary key,
            reference text collate "C" not null,
            amount bigint not null constraint payment_intent_amount check (amount > 0),
            currency text collate "C" not null constraint payment_intent_currency check (currency ~ '^[A-Z]{3}$'),
            status text not null constraint payment_intent_status check (status in (
                'created', 'processing', 'requires_action', 'declined', 'authorized', 'partially_captured', 'captured', 'cancelled'
            )),
            authorization_id text collate "C",
            authorized bigint not null default 0,
            capturing bigint not null default 0,
            captured bigint not null default 0,
            refunding bigint not null default 0,
            refunded bigint not null default 0,
            decline_code text,
            action_url text,
            version bigint not null default 1,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            constraint payment_intent_authorized check (authorized between 0 and amount),
            constraint payment_intent_captured check (capturing >= 0 and captured >= 0 and captured + capturing <= authorized),
            constraint payment_intent_refunded check (refunding >= 0 and refunded >= 0 and refunded + refunding <= captured)
        )
    """)
    op.execute("create index payment_intent_by_reference on payment_intent (reference, id)")
    op.execute("""
        create table authorization_key (
            key text collate "C" not null constraint authorization_key_pk primary key,
            reference text collate "C" not null,
            intent_id text collate "C"
                constraint authorization_key_intent_unique unique
                constraint authorization_key_intent_fk references payment_intent (id),
            created_at timestamptz not null default now()
        )
    """)
    op.execute("""
        create table attempt (
            id text collate "C" not null constraint attempt_pk primary key,
            intent_id text collate "C" not null constraint attempt_intent_fk references payment_intent (id),
            operation text collate "C" not null
                constraint attempt_operation check (operation in ('authorize', 'capture', 'void', 'refund')),
            amount bigint not null constraint attempt_amount check (amount >= 0),
            currency text collate "C" not null constraint attempt_currency check (currency ~ '^[A-Z]{3}$'),
            key text collate "C",
            payment_method text,
            reason text,
            status text not null constraint attempt_status check (
                status in ('pending', 'unknown', 'requires_action', 'succeeded', 'refused', 'reversed')
            ),
            failure text,
            version bigint not null default 1,
            claimed_until timestamptz not null,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            constraint attempt_key_unique unique (operation, key),
            constraint attempt_refund_reason check ((operation = 'refund') = (reason is not null)),
            constraint attempt_failure check ((status in ('refused', 'reversed')) = (failure is not null))
        )
    """)
    op.execute("create index attempt_by_intent on attempt (intent_id, id)")
    op.execute("create index attempt_refunds on attempt (id) where operation = 'refund'")
    op.execute("create index attempt_open on attempt (claimed_until) where status in ('pending', 'unknown', 'requires_action')")
    op.execute("grant select, insert, update on payment_intent, attempt to tenon_payments")
    op.execute("grant select, insert on authorization_key to tenon_payments")


def downgrade() -> None:
    op.execute("drop table attempt, authorization_key, payment_intent")
