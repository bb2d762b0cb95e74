"""The whole application as Prometheus sees it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from entrypoints.development.children import free_port
from entrypoints.process import build_worker
from shared.infra.config import Settings
from tests.chassis.waiting import until
from tests.support import application
from tests.support.shop import Shop

collect_ignore = [] if shutil.which("promtool") else ["test_promtool.py"]  # tests/conftest.py says so at the end of a run

Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Scrape:
    """One answer of the metrics' port: the values of its samples, and the types of all families, also of those without any."""

    values: Mapping[Sample, float]
    types: Mapping[str, str]
    text: str

    def get(self, name: str, **labels: str) -> float | None:
        return self.values.get((name, frozenset(labels.items())))

    def value(self, name: str, **labels: str) -> float:
        """The same where there must be one."""
        value = self.get(name, **labels)
        assert value is not None, f"{name} {labels} is not told"
        return value

    def label(self, name: str, label: str) -> set[str]:
        """What values a label of a metric has."""
        return {dict(labels)[label] for sample, labels in self.values if sample == name}


def parsed(text: str) -> Scrape:
    families = list(text_string_to_metric_families(text))
    values = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return Scrape(values, {family.name: family.type for family in families}, text)


@dataclass(frozen=True)
class Measured:
    """An application whose metrics can be read, and its `container`."""

    client: httpx.AsyncClient
    container: Any
    address: str

    @property
    def shop(self) -> Shop:
        return Shop(self.client, self.container)

    async def scrape(self) -> Scrape:
        async with httpx.AsyncClient() as prometheus:
            answer = await prometheus.get(f"{self.address}/metrics")
        assert answer.status_code == 200, answer.text
        return parsed(answer.text)

    async def settle(self) -> None:
        await build_worker(self.container).drain()


@pytest.fixture(scope="module")
async def measured(settings: Settings) -> AsyncIterator[Measured]:
    port = free_port()
    async with application.composed(msgspec.structs.replace(settings, metrics_port=port)) as root, application.client(root) as client:
        await until(lambda: answering(port))
        yield Measured(client, root, f"http://127.0.0.1:{port}")


async def answering(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True
