"""Keyset lists: every row once, and a cursor that is good for nothing else."""

from typing import Any

import pytest

from tests.chassis.api.tiny import SHELF, Tiny, bearer


@pytest.fixture
async def five(app: Tiny) -> Tiny:
    for slug in ("ash", "birch", "cedar", "elm", "fir"):
        title = "Hard" if slug in ("ash", "birch", "elm") else "Soft"
        await app.client.post("/v1/shelves", json=SHELF | {"slug": slug, "title": title}, headers=bearer("manager"))
    return app


async def walk(app: Tiny, query: str) -> list[list[str]]:
    pages: list[list[str]] = []
    url: str | None = f"/v1/shelves?{query}"
    while url:
        response = await app.client.get(url)
        assert response.status_code == 200, response.text
        pages.append([row["slug"] for row in response.json()["data"]])
        url = response.links["next"]["url"] if "next" in response.links else None
        assert response.json()["has_more"] is (url is not None)
    return pages


async def test_following_the_links_walks_every_row_once_in_order(five: Tiny) -> None:
    assert await walk(five, "limit=2") == [["ash", "birch"], ["cedar", "elm"], ["fir"]]
    assert await walk(five, "limit=2&sort=-slug") == [["fir", "elm"], ["cedar", "birch"], ["ash"]]
    assert await walk(five, "limit=2&title=Hard") == [["ash", "birch"], ["elm"]]
    assert await walk(five, "limit=5") == [["ash", "birch", "cedar", "elm", "fir"]]


async def cursor(app: Tiny, query: str) -> str:
    page: dict[str, Any] = (await app.client.get(f"/v1/shelves?{query}")).json()
    return str(page["next_cursor"])


async def test_a_cursor_is_refused_with_another_filter_or_order_or_when_changed(five: Tiny) -> None:
    mark = await cursor(five, "limit=1&title=Hard")
    payload, _, signature = mark.partition(".")
    for query in (
        f"cursor={mark}",
        f"cursor={mark}&title=Soft",
        f"cursor={mark}&title=Hard&sort=-slug",
        f"cursor={payload}.{signature[:-1]}&title=Hard",
        f"cursor={payload[:-2]}.{signature}&title=Hard",
        f"cursor={payload}&title=Hard",
        f"cursor={payload}.&title=Hard",
        f"cursor={mark}%3D&title=Hard",
        "cursor=.&title=Hard",
        "cursor=%F0%9F%92%A9&title=Hard",
    ):
        response = await five.client.get(f"/v1/shelves?{query}")
        assert response.status_code == 400, query
        assert [(fault["parameter"], fault["code"]) for fault in response.json()["errors"]] == [("cursor", "invalid_cursor")], query


async def test_a_cursor_goes_on_with_another_limit(five: Tiny) -> None:
    mark = await cursor(five, "limit=1&title=Hard")
    assert await walk(five, f"limit=100&title=Hard&cursor={mark}") == [["birch", "elm"]]


async def test_an_empty_list_has_no_next_page(app: Tiny) -> None:
    response = await app.client.get("/v1/shelves")
    assert response.json() == {"data": [], "has_more": False, "next_cursor": None}
    assert "link" not in response.headers
