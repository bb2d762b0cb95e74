"""Holds that are over for long may be removed: by a function, since the runtime role may delete none."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        -- squawk-ignore require-concurrent-index-creation
        create index reservation_over on reservation (expires_at) where state in ('expired', 'released', 'deallocated')
    """)
    op.execute("""
        create function reservation_forget(p_most integer, p_keep interval) returns bigint
        language sql security definer set search_path = inventory, pg_temp as $body$
            with old as (
                select id from reservation
                where state in ('expired', 'released', 'deallocated') and expires_at < now() - greatest(p_keep, interval '35 days')
                order by expires_at limit p_most for update skip locked
            ), lines as (
                delete from reservation_line where reservation_id = any(array(select id from old))
            ), gone as (
                delete from reservation where id = any(array(select id from old)) returning 1
            ) select count(*) from gone
        $body$
    """)
    op.execute("revoke all on function reservation_forget(integer, interval) from public")
    op.execute("grant execute on function reservation_forget(integer, interval) to tenon_inventory")


def downgrade() -> None:
    op.execute("drop function reservation_forget(integer, interval)")
    op.execute("drop index reservation_over")
