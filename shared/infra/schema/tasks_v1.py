"""Durable work outside the log: one table for jobs, timers, outbound sends and events set aside. First version.

`kind` and a non-empty `key` name a lane: tasks of one lane run one after the other, in the order of `seq`. `claim` is drawn anew
by each claim, and every outcome is stored by compare-and-swap on it. Of two priorities the greater goes first.
"""

from typing import Final

UP: Final = """
create table task (
    seq bigint generated always as identity (cache 1),
    id text collate "C" not null,
    kind text collate "C" not null,
    key text collate "C" not null default '',
    unique_key text collate "C",
    state text not null default 'ready',
    priority smallint not null default 5,
    payload jsonb not null,
    headers jsonb not null,
    due_at timestamptz not null default now(),
    attempts integer not null default 0,
    lost smallint not null default 0,
    claim text,
    claimed_until timestamptz,
    last_error text,
    progress jsonb,
    result jsonb,
    reason text,
    ended_by text,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    constraint task_pkey primary key (id),
    constraint task_state_known check (state in ('ready', 'claimed', 'blocked', 'done', 'dead', 'discarded')),
    constraint task_priority_range check (priority between 0 and 9),
    constraint task_claim_whole check ((state = 'claimed') = (claim is not null) and (claim is null) = (claimed_until is null)),
    constraint task_discard_named check (state <> 'discarded' or (reason is not null and ended_by is not null))
);
create index task_due on task (priority, due_at, seq) where state = 'ready';
create index task_claims on task (claimed_until) where state = 'claimed';
create index task_lane on task (kind, key, seq) where key <> '' and state in ('ready', 'claimed', 'blocked', 'dead');
create index task_blocked on task (seq) where state = 'blocked';
create index task_ended on task (ended_at) where state in ('done', 'discarded');
create unique index task_unique on task (kind, unique_key) where unique_key is not null and state in ('ready', 'claimed', 'blocked');
create unique index task_one_per_lane on task (kind, key) where key <> '' and state = 'claimed';
grant select, insert, update, delete on task to {role};
"""

DOWN: Final = """
drop table task;
"""
