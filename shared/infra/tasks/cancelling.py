"""Cancelling a task: at once while it waits; one that runs is told, and ends where it asks, or when it fails."""

from typing import Final

CANCEL: Final = """
update task set cancelled_by = coalesce(cancelled_by, {by}),
    state = case when state = 'claimed' then state else 'discarded' end,
    reason = case when state = 'claimed' then reason else 'cancelled' end,
    ended_by = case when state = 'claimed' then ended_by else {by} end,
    ended_at = case when state = 'claimed' then ended_at else clock_timestamp() end
"""
"""`{by}` is the place of the parameter that says who cancels."""
