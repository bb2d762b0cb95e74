"""Accounts, mailed links, sessions with their refresh tokens, and the brake on guessing."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        create table account (
            id text collate "C" constraint account_pkey primary key,
            email text not null constraint account_email_length check (length(email) <= 254),
            name text not null constraint account_name_length check (length(name) between 1 and 120),
            locale text not null,
            password_hash text not null,
            roles text[] not null
                constraint account_roles_known check (cardinality(roles) > 0 and roles <@ '{customer,support,manager,admin}'),
            verified_at timestamptz,
            created_at timestamptz not null default now(),
            version bigint not null default 1
        )
    """)
    op.execute("create unique index account_email_key on account (lower(email))")
    op.execute("create index account_admins on account (id) where roles @> '{admin}'")
    op.execute("""
        create table mailed_link (
            token_hash bytea constraint mailed_link_pkey primary key,
            purpose text not null constraint mailed_link_purpose_known check (purpose in ('verify_address')),
            user_id text collate "C" not null constraint mailed_link_user_fkey references account (id),
            address text not null,
            password_hash text not null,
            created_at timestamptz not null default now(),
            expires_at timestamptz not null,
            used_at timestamptz
        )
    """)
    op.execute("create index mailed_link_expires on mailed_link (expires_at)")
    op.execute("""
        create table session (
            id text collate "C" constraint session_pkey primary key,
            user_id text collate "C" not null constraint session_user_fkey references account (id),
            started_at timestamptz not null default now(),
            expires_at timestamptz not null,
            revoked_at timestamptz,
            revoked_because text,
            version bigint not null default 1
        )
    """)
    op.execute("create index session_expires on session (expires_at)")
    op.execute("""
        create table refresh_token (
            token_hash bytea constraint refresh_token_pkey primary key,
            session_id text collate "C" not null constraint refresh_token_session_fkey references session (id),
            issued_at timestamptz not null default now(),
            expires_at timestamptz not null,
            used_at timestamptz
        )
    """)
    op.execute("create index refresh_token_session on refresh_token (session_id)")
    op.execute("""
        create table attempt (
            subject text collate "C" constraint attempt_pkey primary key,
            taken integer not null default 1,
            free_at timestamptz not null default clock_timestamp()
        )
    """)
    op.execute("create index attempt_free on attempt (free_at)")
    op.execute("grant select, insert, update on account to tenon_identity")
    op.execute("grant select, insert, update, delete on mailed_link, session, refresh_token, attempt to tenon_identity")


def downgrade() -> None:
    op.execute("drop table attempt, refresh_token, session, mailed_link, account")
