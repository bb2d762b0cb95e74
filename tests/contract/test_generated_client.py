"""The documentation is good enough to be programmed from: a client is generated, and somebody buys with it."""

import runpy
from pathlib import Path
from typing import Final

import httpx
import pytest

from entrypoints.container import Root
from tests.support.processes import program, run
from tests.support.tokens import bearer

SETTINGS: Final = "post_hooks: []\n"
"""Nobody reads what is generated, so that nothing needs to be formatted."""


@pytest.fixture
def generated(tmp_path: Path, document: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "openapi.json").write_bytes(document)
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    folder = tmp_path / "tenon_client"
    command = [program("openapi-python-client"), "generate", "--fail-on-warning", "--meta", "none"]
    paths = ["--path", str(tmp_path / "openapi.json"), "--config", str(tmp_path / "settings.yaml"), "--output-path", str(folder)]
    done = run(*command, *paths)
    assert done.returncode == 0, done.stdout
    monkeypatch.syspath_prepend(tmp_path)
    return folder


async def test_a_purchase_is_made_by_a_generated_client(generated: Path, client: httpx.AsyncClient, container: Root) -> None:
    story = runpy.run_path(str(Path(__file__).with_name("buying.py")))["story"]
    manager, customer = (bearer(container, [role])["Authorization"].removeprefix("Bearer ") for role in ("manager", "customer"))
    placed, read, declined = await story(client._transport, manager, customer)
    assert (placed.status, placed.total.amount, placed.lines[0].sku) == ("placed", 3000, "STOOL-1")
    assert read == placed
    assert (declined.status, declined.code) == (402, "payment_declined")
