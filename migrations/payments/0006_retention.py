"""Keys under which a payment was forbidden may be removed in the end: by a function, since the runtime role may delete none."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
        create function authorization_key_forget(p_most integer, p_keep interval) returns bigint
        language sql security definer set search_path = payments, pg_temp as $body$
            with gone as (
                delete from authorization_key where key = any(array(
                    select key from authorization_key
                    where intent_id is null and created_at < now() - greatest(p_keep, interval '35 days')
                    limit p_most for update skip locked))
                returning 1
            ) select count(*) from gone
        $body$
    """)
    op.execute("revoke all on function authorization_key_forget(integer, interval) from public")
    op.execute("grant execute on function authorization_key_forget(integer, interval) to tenon_payments")


def downgrade() -> None:
    op.execute("drop function authorization_key_forget(integer, interval)")
