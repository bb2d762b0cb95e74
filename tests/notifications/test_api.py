"""Notifications over HTTP: staff sees what went out, without addresses."""

import httpx
import pytest

from modules.notifications.container import NotificationsContainer
from tests.support.tokens import bearer

PATH = "/v1/notifications"


async def test_staff_sees_what_was_sent_and_no_address(client: httpx.AsyncClient, notifications: NotificationsContainer):
    await notifications.notifier().order_paid("evt_1", "ord_2")
    response = await client.get(PATH, headers=bearer(notifications, roles=("support",)))
    (sent,) = response.json()["data"]
    assert {name: sent[name] for name in ("template", "channel", "status", "recipient", "about", "locale", "event_id", "attempts")} == {
        "template": "order_confirmed",
        "channel": "email",
        "status": "sent",
        "recipient": "guest:ord_2",
        "about": "ord_2",
        "locale": "en",
        "event_id": "evt_1",
        "attempts": 1,
    }
    assert "example.org" not in response.text


async def test_the_list_is_paged(client: httpx.AsyncClient, notifications: NotificationsContainer):
    for n in range(3):
        await notifications.notifier().verify_address(f"evt_{n}", "usr_ada")
    headers = bearer(notifications, roles=("admin",))
    page = (await client.get(PATH, params={"limit": 2}, headers=headers)).json()
    rest = (await client.get(PATH, params={"limit": 2, "cursor": page["next_cursor"]}, headers=headers)).json()
    assert [sent["event_id"] for sent in page["data"] + rest["data"]] == ["evt_2", "evt_1", "evt_0"]
    assert rest["has_more"] is False


@pytest.mark.parametrize(("roles", "status"), [((), 401), (("customer",), 403), (("manager",), 200)])
async def test_only_staff_looks(client: httpx.AsyncClient, notifications: NotificationsContainer, roles: tuple[str, ...], status: int):
    headers = bearer(notifications, roles=roles) if roles else {}
    assert (await client.get(PATH, headers=headers)).status_code == status
