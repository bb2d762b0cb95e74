"""HTTP idempotency: the answer to each key, or the saga that will have one. First version.

A row is inserted last in the transaction that did the work and never changed. `body` and `status` are null while `saga_id` is
set: a flow's answer is rendered from its saga's outcome.

`idempotency_claim` tries the lock first and looks then: each statement of a volatile function has a snapshot of its own, so that
whoever gets the lock sees what its last owner has committed. In one statement without it, the snapshot could be older.
"""

from typing import Final

UP: Final = """
create table idempotency_key (
    scope text collate "C" not null,
    key text collate "C" not null,
    fingerprint bytea not null,
    status smallint,
    body bytea,
    headers jsonb,
    saga_id text collate "C",
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint idempotency_key_pkey primary key (scope, key),
    constraint idempotency_key_answer_or_saga check (
        (saga_id is null) = (status is not null) and (status is null) = (body is null) and (status is null) = (headers is null)
    ),
    constraint idempotency_key_body_size check (octet_length(body) <= 65536)
);
create index idempotency_key_expires on idempotency_key (expires_at);
create function idempotency_claim(p_lock bigint, p_scope text, p_key text)
returns table (mine boolean, fingerprint bytea, status smallint, body bytea, headers jsonb, saga_id text, outcome text)
language plpgsql volatile as $body$
begin
    mine := pg_try_advisory_xact_lock(p_lock);
    return query
        select mine, k.fingerprint, k.status, k.body, k.headers, k.saga_id, s.outcome::text
        from (values (1)) as one left join idempotency_key k on k.scope = p_scope and k.key = p_key left join saga s on s.id = k.saga_id;
end
$body$;
grant select, insert, delete on idempotency_key to {role};
grant execute on function idempotency_claim(bigint, text, text) to {role};
"""

DOWN: Final = """
drop function idempotency_claim(bigint, text, text);
drop table idempotency_key;
"""
