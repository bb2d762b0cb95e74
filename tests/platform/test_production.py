"""What a production system says of itself."""

import httpx
import msgspec

from shared.infra.config import Settings
from tests.support import application


async def test_production_is_degraded_while_nobody_really_pays(settings: Settings) -> None:
    production = msgspec.structs.replace(settings, environment="production", public_url="https://shop.example")
    async with application.composed(production) as root, application.client(root) as client:
        ready = await client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    failing = {check for check, result in ready.json()["checks"].items() if result == "failing"}
    assert failing == {"payments:provider"}


async def test_elsewhere_the_test_provider_is_as_good_as_any(client: httpx.AsyncClient) -> None:
    ready = (await client.get("/health/ready")).json()
    assert (ready["status"], ready["checks"]["payments:provider"]) == ("ready", "passing")
