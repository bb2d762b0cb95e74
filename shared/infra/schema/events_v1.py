"""The log that a module publishes, the cursors over the logs that it hears, and the inbox: EVENTS' tables, first version.

The unit of work inserts (event_id, type, version, key, shard, aggregate_version, payload, headers) and nothing else: a forged
id or xid would be an event that no cursor sees. `created_at` is the wall clock, not the transaction's start, so that no late
writer reaches a partition that is already below every floor. Partitions come and go through functions that run with the
owner's rights, because the runtime role has none on them.
"""

from typing import Final

_LOG: Final = """
create table event (
    id bigint generated always as identity (cache 1),
    xid xid8 not null default pg_current_xact_id(),
    event_id text collate "C" not null,
    type text collate "C" not null,
    version integer not null,
    key text collate "C" not null,
    shard smallint not null,
    aggregate_version bigint not null,
    payload jsonb not null,
    headers jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint event_pkey primary key (id, created_at),
    constraint event_version_positive check (version > 0),
    constraint event_shard_range check (shard between 0 and 63)
) partition by range (created_at);
create index event_xid on event (xid);
create table event_default partition of event default;
create table event_partition (
    name text collate "C" not null,
    starts timestamptz not null,
    ends timestamptz not null,
    truncated_at timestamptz,
    constraint event_partition_pkey primary key (name)
);
create table subscriber (
    consumer text collate "C" not null,
    subscription text collate "C" not null,
    shard_group smallint not null default 0,
    floor xid8 not null,
    reported_at timestamptz not null default now(),
    constraint subscriber_pkey primary key (consumer, subscription, shard_group)
);
create table cluster_identity (
    system_identifier bigint not null,
    constraint cluster_identity_pkey primary key (system_identifier)
);
insert into cluster_identity select system_identifier from pg_control_system();
"""

_CURSORS: Final = """
create table cursor (
    subscription text collate "C" not null,
    publisher text collate "C" not null,
    shard_group smallint not null default 0,
    shard_groups smallint not null default 1,
    consumed pg_snapshot not null,
    until pg_snapshot,
    last_id bigint not null default 0,
    window_end bigint,
    paused_at timestamptz,
    paused_by text,
    batch text,
    batch_at timestamptz,
    suspects integer not null default 0,
    suspect_id bigint,
    suspect_runs smallint not null default 0,
    reported_at timestamptz not null default '-infinity',
    updated_at timestamptz not null default now(),
    constraint cursor_pkey primary key (subscription, publisher, shard_group),
    constraint cursor_group_range check (shard_group >= 0 and shard_group < shard_groups and shard_groups <= 64),
    constraint cursor_window_whole check ((until is null) = (window_end is null))
);
create table inbox (
    subscription text collate "C" not null,
    message_id text collate "C" not null,
    received_at timestamptz not null default now(),
    constraint inbox_pkey primary key (subscription, message_id)
);
create index inbox_received on inbox (received_at);
"""

_ACK: Final = """
create function event_ack(p_subscription text, p_shard_group integer, p_floor xid8) returns void
language sql security definer as $body$
    insert into subscriber (consumer, subscription, shard_group, floor)
    values (session_user, p_subscription, p_shard_group, p_floor)
    on conflict (consumer, subscription, shard_group) do update set floor = excluded.floor, reported_at = now()
$body$;
"""

# A partition is created alone and attached: CREATE … PARTITION OF would wait behind an open writer and stop every other insert.
_PARTITION_ADD: Final = """
create function event_partition_add(p_weeks_ahead integer) returns text
language plpgsql security definer set lock_timeout = '200ms' as $body$
declare
    v_starts timestamptz = date_trunc('week', clock_timestamp(), 'UTC') + make_interval(weeks => p_weeks_ahead);
    v_ends timestamptz = v_starts + interval '7 days';
    v_name text = 'event_' || to_char(v_starts at time zone 'UTC', 'IYYY"w"IW');
begin
    perform pg_advisory_xact_lock(hashtext(current_schema() || '.event_partition'));
    if exists (select from event_partition where name = v_name) then
        return null;
    end if;
    execute format('create table %I (like event including all excluding identity)', v_name);
    execute format('alter table event attach partition %I for values from (%L) to (%L)', v_name, v_starts, v_ends);
    insert into event_partition (name, starts, ends) values (v_name, v_starts, v_ends);
    return v_name;
end
$body$;
"""

# TRUNCATE needs no lock on the parent, so that it frees the space without stalling a writer; the DROP may wait for its hour.
_PARTITION_REMOVE: Final = """
create function event_partition_truncate(p_keep interval) returns text
language plpgsql security definer set lock_timeout = '1s' as $body$
declare
    v_floor xid8;
    v_name text;
    v_needed boolean;
begin
    select min(held.floor) into v_floor from (select floor from subscriber for share) held;
    if v_floor is null then
        return null;
    end if;
    for v_name in
        select name from event_partition
        where truncated_at is null and ends < clock_timestamp() - greatest(p_keep, interval '1 day') order by starts
    loop
        execute format('select exists (select from %I where xid >= $1)', v_name) into v_needed using v_floor;
        if not v_needed then
            execute format('truncate table %I', v_name);
            update event_partition set truncated_at = now() where name = v_name;
            return v_name;
        end if;
    end loop;
    return null;
end
$body$;
create function event_partition_drop() returns text
language plpgsql security definer set lock_timeout = '50ms' as $body$
declare
    v_name text;
begin
    select name into v_name from event_partition where truncated_at is not null order by starts limit 1 for update skip locked;
    if v_name is not null then
        execute format('drop table %I', v_name);
        delete from event_partition where name = v_name;
    end if;
    return v_name;
end
$body$;
create function event_strays() returns bigint
language sql stable security definer as $body$
    select count(*) from (select from event_default limit 1000) stray
$body$;
"""

# pg_temp is named last: left out, it would be searched first, and a temporary table of the caller could stand in for ours.
_RIGHTS: Final = """
do $body$
declare
    v_function regprocedure;
begin
    for v_function in
        select oid::regprocedure from pg_proc
        where pronamespace = current_schema()::regnamespace and prosecdef and proname like 'event\\_%'
    loop
        execute format('alter function %s set search_path = %I, pg_temp', v_function, current_schema());
        execute format('revoke all on function %s from public', v_function);
    end loop;
end
$body$;
grant execute on function event_ack(text, integer, xid8), event_partition_add(integer), event_partition_truncate(interval),
    event_partition_drop(), event_strays() to {role};
grant select, insert (event_id, type, version, key, shard, aggregate_version, payload, headers) on event to {role};
grant select on event_partition, subscriber, cluster_identity to {role};
grant select, update on cursor to {role};
grant select, insert, delete on inbox to {role};
select event_partition_add(week) from generate_series(0, 4) week;
"""

UP: Final = _LOG + _CURSORS + _ACK + _PARTITION_ADD + _PARTITION_REMOVE + _RIGHTS

DOWN: Final = """
drop function event_strays();
drop function event_partition_drop();
drop function event_partition_truncate(interval);
drop function event_partition_add(integer);
drop function event_ack(text, integer, xid8);
drop table inbox;
drop table cursor;
drop table cluster_identity;
drop table subscriber;
drop table event_partition;
drop table event;
"""
