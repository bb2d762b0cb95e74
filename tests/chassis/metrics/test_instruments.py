"""Instruments add up, stay bounded, and see refusals, crashes and breakers where they happen."""

import asyncio
from collections.abc import Mapping
from contextvars import copy_context
from time import monotonic

import pytest

from entrypoints.development.children import free_port
from shared.domain.errors import Busy
from shared.domain.outbound import CircuitOpen, Unreachable
from shared.infra.db.connections import Connections, connector
from shared.infra.http.breaker import BreakerPolicy
from shared.infra.http.client import HttpClient, Policy
from shared.infra.http.retries import RetryPolicy
from shared.infra.metrics import process
from shared.infra.metrics.instruments import MOST_SERIES, Family, Metrics
from shared.infra.metrics.process import Breakers, EventLoopLag, watch_connections, watch_loops
from shared.infra.supervisor import Loop, Supervisor
from tests.chassis.conftest import Two
from tests.chassis.two_modules import PASSWORD


def family(metrics: Metrics, name: str) -> Family:
    [found] = [family for family in metrics.families() if family.name == name]
    return found


def points(metrics: Metrics, name: str) -> Mapping[tuple[str, ...], float]:
    return dict(family(metrics, name).points)


def test_a_counter_without_labels_is_there_before_it_counts():
    metrics = Metrics()
    metrics.counter("tenon_wishes_total", "Wishes.")
    assert points(metrics, "tenon_wishes_total") == {(): 0}


def test_a_histogram_counts_a_value_at_its_bound_and_everything_at_the_last():
    metrics = Metrics()
    waits = metrics.histogram("tenon_wait_seconds", "Waits.", (0.1, 1), "who")
    for value in (0.1, 0.5, 7):
        waits.observe(value, "me")
    [(labels, spread)] = family(metrics, "tenon_wait_seconds").spreads
    assert labels == ("me",)
    assert list(spread.up_to) == [("0.1", 1), ("1.0", 2), ("+Inf", 3)]
    assert spread.sum == pytest.approx(7.6)


def test_however_many_values_a_label_has_the_series_are_bounded_and_nothing_is_lost():
    metrics = Metrics()
    wishes, waits = metrics.counter("tenon_wishes_total", "Wishes.", "who"), metrics.histogram("tenon_wait_seconds", "Waits.", (1,), "who")
    for number in range(MOST_SERIES + 50):
        wishes.add(str(number))
        waits.observe(0.5, str(number))
    counted = points(metrics, "tenon_wishes_total")
    spreads = dict(family(metrics, "tenon_wait_seconds").spreads)
    assert len(counted) == len(spreads) == MOST_SERIES + 1
    assert counted["other",] == spreads["other",].up_to[-1][1] == 50


def test_two_metrics_of_one_name_are_refused():
    metrics = Metrics()
    metrics.counter("tenon_wishes_total", "Wishes.")
    with pytest.raises(ValueError, match="two metrics are called tenon_wishes_total"):
        metrics.counter("tenon_wishes_total", "Others.")


async def test_who_waited_for_a_connection_in_vain_is_counted(two: Two):
    metrics, connections = Metrics(), Connections(connector(two.url, lambda _: PASSWORD), limit=1, wait_s=0.01, set_aside=0)
    watch_connections(metrics, connections)

    async def wait() -> None:
        async with connections.use("tenon_maker"):
            pass

    elsewhere = copy_context()
    async with connections.use("tenon_maker"):
        with pytest.raises(Busy):
            await asyncio.create_task(wait(), context=elsewhere)
        assert points(metrics, "tenon_db_connections_open") == {("tenon_maker",): 1}
        assert points(metrics, "tenon_db_connections_idle") == {("tenon_maker",): 0}
    assert points(metrics, "tenon_db_connections_idle") == {("tenon_maker",): 1}
    assert points(metrics, "tenon_db_connections_refused_total") == {(): 1}
    await connections.close()


async def test_a_loop_that_crashes_is_counted():
    stop, runs = asyncio.Event(), 0

    async def crash(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError
        stop.set()

    metrics, loops = Metrics(), [Loop("fragile", crash)]
    watch_loops(metrics, loops)
    await Supervisor(loops).run(stop)
    assert points(metrics, "tenon_loop_crashes_total") == {("fragile",): 2}


async def test_what_blocks_the_event_loop_is_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "LOOK_EVERY_S", 0.01)
    metrics, stop = Metrics(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(EventLoopLag(metrics).run(stop))
        await asyncio.sleep(0)
        ends = monotonic() + 0.1
        while monotonic() < ends:
            pass
        stop.set()
    [(_, spread)] = family(metrics, "tenon_event_loop_lag_seconds").spreads
    assert spread.sum >= 0.08


async def test_a_breaker_that_is_not_closed_is_told_by_client_and_never_by_target():
    metrics = Metrics()
    breakers = Breakers(metrics)
    policy = Policy(breaker=BreakerPolicy(minimum=1), retry=RetryPolicy(attempts=1))
    client, targets = HttpClient("parcels", policy, changed=breakers.changed), [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    for target in targets:
        with pytest.raises(Unreachable):
            await client.request("GET", target)
        with pytest.raises(CircuitOpen):
            await client.request("GET", target)
    assert points(metrics, "tenon_breaker_targets") == {("parcels", "open"): 2, ("parcels", "half_open"): 0, ("parcels", "isolated"): 0}
    (await client.breaker(targets[0])).reset()
    assert points(metrics, "tenon_breaker_targets")["parcels", "open"] == 1
    assert points(metrics, "tenon_breaker_changes_total") == {("parcels", "open"): 2, ("parcels", "closed"): 1}
    await client.close()
