"""Second version of durable work: who wants a task to end, how far each cron has come, and which tasks wait for an operator.

`cancelled_by` is set while the task still runs, and makes it end as discarded instead of being tried again. `cron.tick` is the
number of the last tick whose task was added; whoever moves it adds the tasks of the ticks in between, in one statement.
"""

from typing import Final

UP: Final = """
alter table task add column cancelled_by text;
-- squawk-ignore require-concurrent-index-creation
create index task_dead on task (kind) where state = 'dead';
create table cron (
    kind text collate "C" not null,
    tick bigint not null,
    constraint cron_pkey primary key (kind)
);
grant select, insert, update on cron to {role};
"""

DOWN: Final = """
drop table cron;
drop index task_dead;
alter table task drop column cancelled_by;
"""
