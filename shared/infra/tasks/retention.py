"""How long ended tasks are kept. Dead ones stay until somebody decides on them."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

# task_ended, all three
_DONE: Final = """
with gone as (
    delete from task where id = any(array(
        select id from task where state = 'done' and result is null and ended_at < now() - $2::interval order by ended_at limit $1))
    returning 1
) select count(*) from gone
"""
_RESULTS: Final = """
with gone as (
    delete from task where id = any(array(
        select id from task where state = 'done' and result is not null and ended_at < now() - $2::interval order by ended_at limit $1))
    returning 1
) select count(*) from gone
"""
_DISCARDED: Final = """
with gone as (
    delete from task where id = any(array(
        select id from task where state = 'discarded' and ended_at < now() - $2::interval order by ended_at limit $1))
    returning 1
) select count(*) from gone
"""

DONE: Final = Retention("done tasks", timedelta(days=1), _DONE)
"""For whoever looks into what a worker did last night."""

RESULTS: Final = Retention("results of jobs", timedelta(days=30), _RESULTS)
"""Longer than the Idempotency-Key of the request that began the job, whose repeat leads to it."""

DISCARDED: Final = Retention("discarded tasks", timedelta(days=90), _DISCARDED)
"""A quarter: who gave what up, and why, is asked for later than what went well."""
