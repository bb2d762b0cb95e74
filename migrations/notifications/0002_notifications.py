"""Which notification went to whom because of which event, and how that ended. No addresses."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        create table notification (
            id text collate "C" not null constraint notification_pk primary key,
            event_id text collate "C" not null,
            template text collate "C" not null,
            recipient text collate "C" not null,
            channel text not null default 'email' constraint notification_channel check (channel in ('email')),
            about text collate "C" not null,
            locale text not null,
            status text not null constraint notification_status check (status in ('sending', 'sent', 'bounced')),
            attempts integer not null default 1,
            last_error text,
            version bigint not null default 1,
            created_at timestamptz not null default now(),
            ended_at timestamptz,
            constraint notification_once unique (event_id, template, recipient),
            constraint notification_ended check ((status = 'sending') = (ended_at is null))
        )
    """)
    op.execute("create index notification_by_about on notification (about, id)")
    op.execute("grant select, insert, update on notification to tenon_notifications")


def downgrade() -> None:
    op.execute("drop table notification")
