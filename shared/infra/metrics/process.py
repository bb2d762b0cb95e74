"""What a process has and does apart from requests: connections, loops, the event loop's lag, the breakers of its clients."""

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from typing import Final, get_args

from shared.infra.db.connections import Connections
from shared.infra.http.breaker import State
from shared.infra.metrics.instruments import Metrics, Values
from shared.infra.supervisor import Loop, idle

LOOK_EVERY_S: Final = 0.5
LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


def watch_connections(metrics: Metrics, connections: Connections) -> None:
    def by_role(idle: bool) -> Values:
        return {(role,): float(counts[idle]) for role, counts in connections.by_role().items()}

    def one(value: float) -> Values:
        return {(): value}

    name = "tenon_db_connections"
    metrics.reading("gauge", f"{name}_open", "Open connections to the database.", lambda: by_role(idle=False), "role")
    metrics.reading("gauge", f"{name}_idle", "Open connections that nobody uses.", lambda: by_role(idle=True), "role")
    metrics.reading("gauge", f"{name}_limit", "How many may be open in this process.", lambda: one(connections.limit))
    metrics.reading("gauge", f"{name}_waiting", "Tasks that wait for a connection.", lambda: one(connections.waiting))
    metrics.reading("counter", f"{name}_refused_total", "Tasks that waited for a connection in vain.", lambda: one(connections.refused))


def watch_loops(metrics: Metrics, loops: Sequence[Loop]) -> None:
    def crashes() -> Values:
        return {(loop.name,): float(loop.crashes) for loop in loops}

    metrics.reading("counter", "tenon_loop_crashes_total", "Crashes of a loop, each followed by a restart.", crashes, "loop")


class EventLoopLag:
    """How much later than asked for the event loop comes back: the delay that everything in this process has."""

    def __init__(self, metrics: Metrics) -> None:
        self._lag = metrics.histogram("tenon_event_loop_lag_seconds", "Delay of a timer in the event loop.", LAGS)

    async def run(self, stop: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        while not stop.is_set():
            due = now() + LOOK_EVERY_S
            await idle(stop, None, LOOK_EVERY_S)
            self._lag.observe(max(0.0, now() - due))


class Breakers:
    """The circuit breakers of the clients whose listener this is. A closed one is forgotten: there may be as many as targets."""

    def __init__(self, metrics: Metrics) -> None:
        self._not_closed: dict[tuple[str, str], State] = {}
        self._clients: set[str] = set()
        self._changes = metrics.counter("tenon_breaker_changes_total", "Changes of circuit breakers.", "client", "state")
        metrics.reading("gauge", "tenon_breaker_targets", "Targets whose breaker is not closed.", self._by_state, "client", "state")

    def changed(self, client: str, target: str, state: State) -> None:
        """A `Listener` of an HttpClient."""
        self._clients.add(client)
        self._changes.add(client, state)
        if state == "closed":
            self._not_closed.pop((client, target), None)
        else:
            self._not_closed[client, target] = state

    def _by_state(self) -> Values:
        found = Tally((client, state) for (client, _), state in self._not_closed.items())
        states = [state for state in get_args(State) if state != "closed"]
        return {(client, state): float(found[client, state]) for client in self._clients for state in states}
