"""The first real purchase, from a stranger to a customer with a confirmation, told through the front door alone."""

import re
from collections.abc import Awaitable, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from entrypoints.container import Root
from shared.infra.config import Settings
from tests.support.processes import program, run
from tests.support.shop import Shop

EMAIL, PASSWORD = "ada@example.org", "seven oak planks in the rain"


def mails(settings: Settings) -> list[tuple[str, str]]:
    """The subjects and texts of all that lies in the outbox, the oldest first."""
    files = sorted(Path(settings.mail_url.removeprefix("file://")).glob("*.eml"))
    return [subject_and_text(message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


def subject_and_text(mail: EmailMessage) -> tuple[str, str]:
    body = mail.get_body(("plain",))
    assert mail["to"] == f"Ada Lovelace <{EMAIL}>"
    assert body is not None
    return mail["subject"], body.get_content()


async def test_a_stranger_registers_and_buys_and_is_told_so(
    client: httpx.AsyncClient, container: Root, settings: Settings, settle: Callable[[], Awaitable[None]]
) -> None:
    async def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    await call("POST", "/v1/users", {"email": EMAIL, "password": PASSWORD, "name": "Ada Lovelace"})
    await settle()
    [(_, verification)] = mails(settings)
    link = re.search(r"/v1/auth/verify\?token=(\S+)", verification)
    assert link is not None, verification
    await call("POST", "/v1/auth/verify", {"token": link[1]})
    login = await call("POST", "/v1/auth/login", {"email": EMAIL, "password": PASSWORD})
    ada = {"Authorization": f"Bearer {login['access_token']}"}
    assert (await call("GET", "/v1/me", **ada))["email"] == EMAIL

    shop = Shop(client, container)
    goods = await shop.goods(stock=2, price=2499)
    [product] = (await call("GET", "/v1/products", **ada))["data"]
    assert product["variants"][0]["id"] == goods.variant_id
    order = await shop.order(ada, (goods, 2))
    await settle()

    seen = await call("GET", f"/v1/orders/{order['id']}", **ada)
    assert (seen["status"], seen["payment_status"], seen["total"]["amount"]) == ("placed", "paid", 4998)
    timeline = await call("GET", f"/v1/orders/{order['id']}/timeline", **ada)
    assert [entry["kind"] for entry in timeline["data"]] == ["completion_started", "placed", "captured"]
    [_, (subject, confirmation)] = mails(settings)
    assert order["number"] in subject
    assert goods.sku in confirmation
    level = await shop.level(goods.sku)
    assert (level["on_hand"], level["allocated"], level["reserved"], level["available"]) == (2, 2, 0, 0)
    assert (await call("GET", "/v1/ledger/trial_balance", **shop.admin))["balanced"]


@pytest.mark.slow
def test_the_demo_tells_its_story_to_the_end(tmp_path: Path) -> None:
    """On servers of its own: nothing is served from the folder that it is given."""
    demo = run(program("tenon"), "demo", "--home", str(tmp_path))
    assert demo.returncode == 0, demo.stdout
    told = [" ".join(line.split()) for line in demo.stdout.splitlines()]
    for line in (
        "A customer registers, confirms the address and logs in",
        "refused: payment_declined",
        "Idempotent-Replayed: true",
        "1 order, 9 times not enough in stock",
        "Every step did what it says.",
    ):
        assert line in told, demo.stdout
    assert any(line.startswith("order ") and line.endswith(": completion_started, placed, captured") for line in told), demo.stdout
    assert any(line.startswith("the confirmation lies in ") for line in told), demo.stdout
