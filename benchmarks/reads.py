"""Reading products over HTTP: the whole application beside a bare one, FastAPI with an ORM, and Fastify."""

import json
import secrets
import shutil
import sys
from asyncio import Protocol
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Final

from benchmarks.http import Clients, clients, served
from benchmarks.measure import Clock, Spread, cpu, share
from benchmarks.peers.bare import PLAIN, bare_app
from benchmarks.processes import Served, serving
from benchmarks.report import Row
from benchmarks.stage import Stage
from entrypoints.development.children import free_port
from entrypoints.protocol import bounded
from modules.catalog.infra.statements import PRODUCT, PRODUCTS
from shared.api.problems import ProblemWriter
from tests.support.tokens import bearer

ON_SALE: Final = 60
PAGE: Final = 50
SINCE_EVER: Final = "created_at%5Bgte%5D=2000-01-01T00:00:00Z"
"""A list that is nobody's front page, so that it is not in the cache."""

FASTIFY: Final = Path(__file__).with_name("peers") / "fastify"


@dataclass(frozen=True)
class Load:
    """The paths that are asked in turn, how many requests a window has, how many of them at the same time."""

    paths: Sequence[str]
    number: int
    at_once: int


@dataclass(frozen=True)
class Peer:
    port: int
    clock: Clock = process_time


@dataclass(frozen=True)
class Reading:
    """Ours is in this process."""

    stage: Stage
    crowd: Clients
    port: int

    async def beside(self, peer: Peer, load: Load, *, rounds: int = 32) -> Spread:
        """How much of what the peer gets done ours does."""
        number = self.stage.some(load.number, load.at_once)
        theirs, own = (self.crowd.asking(port, load.paths, number, load.at_once) for port in (peer.port, self.port))
        return await share(cpu(theirs, peer.clock), cpu(own), rounds=self.stage.some(rounds))

    async def authenticated(self, load: Load) -> Spread:
        """What a request of somebody who is logged in costs, of what an anonymous one costs."""
        number = self.stage.some(load.number, load.at_once)
        known = self.crowd.asking(self.port, load.paths, number, load.at_once, bearer(self.stage.root))
        unknown = self.crowd.asking(self.port, load.paths, number, load.at_once)
        return await share(cpu(known), cpu(unknown), rounds=self.stage.some(32))


async def rows(stage: Stage) -> list[Row]:
    one = [f"/v1/products/{await product(stage)}" for _ in range(stage.some(ON_SALE, 4))]
    few, many = Load(one, 256, 32), Load(one, 512, 256)
    front, page = Load([f"/v1/products?limit={PAGE}"], 24, 8), Load([f"/v1/products?limit={PAGE}&{SINCE_EVER}"], 24, 8)
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(stage.bare("catalog", stage.settings.db_connections))
        beside = Peer(await stack.enter_async_context(served(bare_app(bare, PAGE))))
        ours = await stack.enter_async_context(served(stage.app, http=production(stage)))
        reading = Reading(stage, await stack.enter_async_context(clients()), ours)
        return [
            Row("GET product, whole stack / bare ASGI + asyncpg", await reading.beside(beside, few), goal=0.70, steady=True),
            Row("the same, 256 at once", await reading.beside(beside, many), goal=0.85, steady=True),
            Row(f"list of {PAGE} x 3, whole stack / bare ASGI + asyncpg", await reading.beside(beside, page), goal=0.75, steady=True),
            Row("the same as the front page, which is cached, / bare", await reading.beside(beside, front), steady=True),
            Row("GET product, authenticated / anonymous", await reading.authenticated(few), goal=1.15, most=True, steady=True),
            *await beside_orm(reading, few, page),
            *await beside_fastify(reading, few, many),
        ]


async def beside_orm(reading: Reading, few: Load, page: Load) -> list[Row]:
    names = ("GET product, whole stack / FastAPI + SQLAlchemy ORM", f"list of {PAGE} x 3, whole stack / FastAPI + SQLAlchemy ORM")
    port = free_port()
    url = reading.stage.url("tenon_catalog", "postgresql+asyncpg")
    async with serving([sys.executable, "-m", "benchmarks.peers.orm", str(port), url], {}, port, page.paths[0]) as peer:
        orm = Peer(peer.port, peer.clock)
        return [
            Row(names[0], await reading.beside(orm, few, rounds=16), goal=5),
            Row(names[1], await reading.beside(orm, page, rounds=12), goal=10),
        ]


async def beside_fastify(reading: Reading, few: Load, many: Load) -> list[Row]:
    names = ("GET product, whole stack / Fastify + pg", "the same, 256 at once, whole stack / Fastify + pg")
    node = shutil.which("node")
    if node is None or not (FASTIFY / "node_modules").exists():
        missing = "node is not here" if node is None else "the packages of Fastify are not here"
        return [Row(name, None, goal, note=missing) for name, goal in zip(names, (0.8, 1), strict=True)]
    port = free_port()
    command = [node, str(FASTIFY / "server.js"), str(port), reading.stage.url("tenon_catalog")]
    sql = {"PEER_SQL": json.dumps({"product": PRODUCT, "products": PRODUCTS["-created_at", PLAIN]}), "NODE_ENV": "production"}
    async with serving(command, sql, port, few.paths[0]) as peer:
        await warmed(reading, peer, few)
        fastify = Peer(peer.port, peer.clock)
        return [
            Row(names[0], await reading.beside(fastify, few), goal=0.8),
            Row(names[1], await reading.beside(fastify, many), goal=1),
        ]


def production(stage: Stage) -> type[Protocol]:
    return bounded(stage.settings.arrival_seconds, ProblemWriter(stage.settings.public_url))


async def warmed(reading: Reading, peer: Served, load: Load) -> None:
    """Node compiles while it runs: what it does for the first thousands is not what it costs."""
    for _ in range(reading.stage.some(20, 1)):
        await reading.crowd.asking(peer.port, load.paths, load.number, load.at_once)()


async def product(stage: Stage) -> str:
    """The id of a published one with three variants."""
    name = secrets.token_hex(6)
    price = {"list_price": {"amount": 1500, "currency": "USD"}}
    variants = [{"sku": f"{name.upper()}-{number}", "prices": [price]} for number in range(3)]
    body = {"title": f"Stool {name}", "slug": name, "variants": variants}
    answer = await stage.shop.client.post("/v1/products", json=body, headers=stage.shop.admin)
    product_id = str(answer.raise_for_status().json()["id"])
    published = await stage.shop.client.post(f"/v1/products/{product_id}/publish", headers=stage.shop.admin)
    published.raise_for_status()
    return product_id
