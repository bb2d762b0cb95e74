"""Second version of durable work: who wants a task to end, and how far each cron has come.

`cancelled_by` is set while the task still runs, and makes it end as discarded instead of being tried again. `cron.tick` is the
number of the last tick whose task was added; whoever moves it adds the tasks of the ticks in between, in one statement.
"""

from typing import Final

UP: Final = """
alter table task add column cancelled_by text;
create table cron (
    kind text collate "C" not null,
    tick bigint not null,
    constraint cron_pkey primary key (kind)
);
grant select, insert, update on cron to {role};
"""

DOWN: Final = """
drop table cron;
alter table task drop column cancelled_by;
"""
