"""The server around the application: whom it answers for, and how it stops."""

import asyncio
import signal

import httpx
import msgspec
import uvicorn
from litestar.types import Receive, Scope, Send

from entrypoints.container import Root
from entrypoints.ending import Ending
from entrypoints.http import create_app
from entrypoints.serving import Server, listening
from shared.api.health import Lifecycle
from shared.infra.config import Settings
from tests.support import application


async def test_in_production_only_the_host_of_the_public_address_is_answered_for(settings: Settings) -> None:
    production = msgspec.structs.replace(settings, environment="production", public_url="https://shop.example")
    async with application.composed(production) as root, application.client(root) as client:
        for host, status in (("shop.example", 200), ("Shop.Example:443", 200), ("shop.example.evil.example", 400), ("test", 400)):
            assert (await client.get("/v1/products", headers={"Host": host})).status_code == status, host
        assert (await client.get("/health/live", headers={"Host": "10.0.0.7"})).status_code == 200


async def test_elsewhere_every_host_is_answered_for(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/products", headers={"Host": "laptop.example"})).status_code == 200


async def test_a_server_without_what_runs_beside_it_ends_to_be_started_anew() -> None:
    serves = asyncio.Event()

    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"  # type: ignore[comparison-overlap]  # Litestar's scopes know no lifespan
        await receive()
        await send({"type": "lifespan.startup.complete"})  # type: ignore[typeddict-item]  # as above
        await serves.wait()
        raise RuntimeError("a loop that nobody restarts")

    ending = Ending()
    config = uvicorn.Config(breaking, lifespan="on", log_config=None)
    with listening("127.0.0.1", 0) as listener:
        await Server(config, Lifecycle(), ending, serving=serves.set).serve([listener])
    assert ending.status == 1


async def test_at_the_signal_the_process_is_not_ready_any_more_and_still_answers(container: Root) -> None:
    lifecycle, ending = Lifecycle(), Ending()
    app = create_app(container, lifecycle=lifecycle, ending=ending)
    server = Server(uvicorn.Config(app, log_config=None), lifecycle, ending, serving=lambda: None)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types its scope more narrowly
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/health/ready")).status_code == 200
        server.handle_exit(signal.SIGTERM, None)
        assert ending.asked.is_set()
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/v1/products")).status_code == 200
