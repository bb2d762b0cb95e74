"""Live, started, ready: Redis gone degrades, Postgres gone refuses, and so does stopping."""

from shared.api.health import PROBE_SECONDS, Check
from tests.chassis.api.tiny import tiny


async def passing() -> None:
    """All is well."""


async def failing() -> None:
    raise ConnectionRefusedError("10.0.0.3:5432 refused for tenon_orders")


async def test_a_process_with_all_it_needs_is_ready() -> None:
    async with tiny(checks=[Check("postgres", passing), Check("redis", passing, essential=False)]) as app:
        response = await app.client.get("/health/ready")
        assert response.status_code == 200
        assert response.json() == {"status": "ready", "checks": {"postgres": "passing", "redis": "passing"}}


async def test_without_redis_it_is_degraded_and_still_ready() -> None:
    async with tiny(checks=[Check("postgres", passing), Check("redis", failing, essential=False)]) as app:
        response = await app.client.get("/health/ready")
        assert response.status_code == 200
        assert response.json() == {"status": "degraded", "checks": {"postgres": "passing", "redis": "failing"}}


async def test_without_postgres_it_is_not_ready_and_says_no_more_than_that() -> None:
    async with tiny(checks=[Check("postgres", failing), Check("redis", passing, essential=False)]) as app:
        response = await app.client.get("/health/ready")
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        assert response.json()["checks"] == {"postgres": "failing", "redis": "passing"}
        assert "10.0.0.3" not in response.text
        assert (await app.client.get("/health/live")).status_code == 200


async def test_a_stopping_process_is_not_ready_and_still_alive() -> None:
    async with tiny() as app:
        assert (await app.client.get("/health/startup")).json()["status"] == "started"
        app.lifecycle.stopping()
        assert (await app.client.get("/health/ready")).status_code == 503
        assert (await app.client.get("/health/live")).json()["status"] == "alive"


async def test_a_process_that_starts_is_neither_started_nor_ready() -> None:
    async with tiny() as app:
        app.lifecycle.stage = "starting"
        assert (await app.client.get("/health/startup")).status_code == 503
        assert (await app.client.get("/health/ready")).status_code == 503


def test_a_probe_has_less_time_than_a_request() -> None:
    assert PROBE_SECONDS < 15
