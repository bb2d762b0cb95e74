"""The table of HTTP idempotency: the answer to each key, or the saga that will have one. First version.

A row is inserted last in the transaction that did the work and never changed. `body` and `status` are null while `saga_id` is
set: a flow's answer is rendered from its saga's outcome.
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
grant select, insert, delete on idempotency_key to {role};
"""

DOWN: Final = """
drop table idempotency_key;
"""
