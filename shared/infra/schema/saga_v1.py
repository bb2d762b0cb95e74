"""The tables of sagas in a module's own schema, and the statements that a unit of work runs on them.

`saga`, one row per instance:
- `id` (sag_…), `name`, `version`: which definition it follows, for ever; `key`: the id of what it is about;
  `owner`: scope of the principal that began it;
- `state`: running, waiting (for a webhook, a person), compensating, stuck (still retried, slowly), done, failed (compensated);
- `position`: index of the next step; while compensating (`failure` is set) that of the next compensation, -1 when none is left;
- `data`, `failure`, `outcome`: the saga's state, the Failure that is being compensated, what `finish` returned. They are `json`,
  not `jsonb`, so that a repeated request is answered byte for byte as the first;
- `token`: raised by every claim, named by every write of its owner; `claimed_until`: null when nobody runs it;
- `due_at`: not claimed before; `attempts`: failures of the present step in a row; `wakes`: how often it was woken, so that a
  wake-up that arrives before the saga falls asleep is not lost;
- `correlation_id`, `traceparent`: of the request that began it; `ended_at`: set if and only if it is done or failed.

`saga_step`, one row per step and direction that was ever sent or done. It has no foreign key: its rows are only ever inserted
with their saga or from an UPDATE of it, in one statement.
"""

UP = """
create table saga (
    id text collate "C" constraint saga_pk primary key,
    name text not null,
    version integer not null,
    key text collate "C" not null,
    owner text not null,
    state text not null default 'running',
    position integer not null default 0,
    data json not null,
    token bigint not null default 1,
    claimed_until timestamptz,
    due_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    wakes bigint not null default 0,
    last_error text,
    failure json,
    outcome json,
    correlation_id text not null default '',
    traceparent text not null default '',
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    constraint saga_state_known check (state in ('running', 'waiting', 'compensating', 'stuck', 'done', 'failed')),
    constraint saga_ended check ((ended_at is not null) = (state in ('done', 'failed')) and (ended_at is null or outcome is not null))
) with (fillfactor = 70);
create index saga_due on saga (due_at) where ended_at is null;
create index saga_by_key on saga (key);

create table saga_step (
    saga_id text collate "C" not null,
    step text not null,
    direction text not null,
    state text not null,
    attempts integer not null default 1,
    error text,
    sent_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    constraint saga_step_pk primary key (saga_id, step, direction),
    constraint saga_step_direction_known check (direction in ('forward', 'back')),
    constraint saga_step_state_known check (state in ('sent', 'done', 'refused'))
) with (fillfactor = 70);

grant select, insert, update on saga, saga_step to {role};
"""

DOWN = """
drop table saga_step;
drop table saga;
"""

BEGIN_SAGA = """
insert into saga (id, name, version, key, owner, data, claimed_until, correlation_id, traceparent)
values ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::float8 * interval '1 second', $8, $9)
"""
"""Parameters: see `Begun` (shared/infra/saga/begun.py). The request that began it holds the first claim, with token 1."""

SEND_FIRST = "insert into saga_step (saga_id, step, direction, state) values ($1, $2, 'forward', 'sent')"

WAKE_SAGA = """
update saga set wakes = wakes + 1, due_at = least(due_at, clock_timestamp()) where id = $1 and ended_at is null
"""
