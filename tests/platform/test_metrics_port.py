"""A process that is started by hand answers Prometheus, and a port that is taken does not stop it."""

import json
import signal
import socket

import httpx
import pytest

from shared.infra.config import Settings
from tests.chassis.metrics.conftest import Scrape, parsed
from tests.chassis.waiting import until
from tests.support import processes
from tests.support.application import environment_of


async def scraped(port: int) -> Scrape | None:
    async with httpx.AsyncClient() as prometheus:
        try:
            answer = await prometheus.get(f"http://127.0.0.1:{port}/metrics")
        except httpx.TransportError:
            return None
    return parsed(answer.text)


@pytest.mark.slow
async def test_a_worker_tells_of_its_loops_and_of_the_backlog_as_soon_as_it_has_the_port(settings: Settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environment = {**environment_of(settings), "TENON_METRICS_PORT": str(port)}
        worker = processes.start(processes.program("tenon"), "worker", environ=environment)
        assert worker.stdout is not None
        line = next(line for line in map(json.loads, worker.stdout) if line["event"] == "loop_crashed")
        assert line["loop"] == "metrics"
        assert f"NoPort: 127.0.0.1 port {port}: " in line["exception"]
    scrape = await until(lambda: scraped(port))
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate()
    assert worker.returncode == 0, said
    assert scrape.value("tenon_loop_crashes_total", loop="metrics") >= 1
    assert {"events of orders.payments", "tasks of payments"} <= scrape.label("tenon_loop_crashes_total", "loop")
    assert scrape.label("tenon_subscription_lag_seconds", "subscription") >= {"orders.payments", "notifications.orders"}
    assert scrape.get("tenon_check_passing", check="payments:trial_balance") == 1
