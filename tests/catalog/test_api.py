"""The catalog over HTTP."""

from typing import Any

import httpx

from tests.catalog.conftest import Shop

STOOL = {
    "title": "Oak stool",
    "slug": "oak-stool",
    "attributes": {"wood": "oak"},
    "variants": [{"sku": "STOOL-45", "options": {"height": "45"}, "prices": [{"list_price": {"amount": 9900, "currency": "USD"}}]}],
}
UNKNOWN = "0" * 32


def code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


async def stool(client: httpx.AsyncClient, manager: dict[str, str], **changes: object) -> dict[str, Any]:
    answer = await client.post("/v1/products", json={**STOOL, **changes}, headers=manager)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_product_is_made_published_and_then_seen_by_everybody(
    shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    made = await client.post("/v1/products", json=STOOL, headers=manager)
    address = made.headers["location"]
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert address == f"/v1/products/{made.json()['id']}"
    assert code(await client.get(address)) == (404, "not_found")
    assert (await client.get(address, headers=manager)).json() == made.json()
    published = await client.post(f"{address}/publish", headers=manager)
    assert (published.status_code, published.json()["status"], published.headers["etag"]) == (200, "published", '"2"')
    seen = await client.get(address)
    assert seen.json() == published.json()
    unchanged = await client.get(address, headers={"If-None-Match": seen.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert code(await client.post(f"{address}/publish", headers=manager)) == (409, "illegal_transition")
    archived = await client.post(f"{address}/archive", headers={**manager, "If-Match": '"2"'})
    assert archived.json()["status"] == "archived"
    assert code(await client.post(f"{address}/archive", headers=manager)) == (409, "illegal_transition")
    assert code(await client.get(address)) == (404, "not_found")


async def test_a_product_without_variants_cannot_be_published(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await stool(client, manager, variants=[])
    assert code(await client.post(f"/v1/products/{made['id']}/publish", headers=manager)) == (422, "product_without_variants")


async def test_only_managers_change_the_catalog(
    shop: Shop, client: httpx.AsyncClient, manager: dict[str, str], customer: dict[str, str]
) -> None:
    made = await stool(client, manager)
    variant = made["variants"][0]["id"]
    body: dict[str, object] = {"list_price": {"amount": 1, "currency": "USD"}}
    for method, path, sent in (
        ("POST", "/v1/products", STOOL),
        ("PATCH", f"/v1/products/{made['id']}", {"title": "x"}),
        ("POST", f"/v1/products/{made['id']}/publish", None),
        ("POST", f"/v1/products/{made['id']}/archive", None),
        ("POST", f"/v1/products/{made['id']}/variants", {"sku": "X"}),
        ("PATCH", f"/v1/variants/{variant}", {"title": "x"}),
        ("PUT", f"/v1/variants/{variant}/prices/USD", body),
        ("POST", "/v1/categories", {"name": "A", "slug": "a"}),
        ("PATCH", f"/v1/categories/cat_{UNKNOWN}", {"name": "A"}),
    ):
        assert code(await client.request(method, path, json=sent)) == (401, "unauthenticated")
        assert code(await client.request(method, path, json=sent, headers=customer)) == (403, "forbidden")


async def test_a_change_needs_the_version_that_was_read(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    address = f"/v1/products/{(await stool(client, manager))['id']}"
    assert code(await client.patch(address, json={"title": "Ash stool"}, headers=manager)) == (428, "precondition_required")
    changed = await client.patch(address, json={"title": "Ash stool", "attributes": {"wood": None}}, headers={**manager, "If-Match": '"1"'})
    assert (changed.status_code, changed.json()["attributes"], changed.headers["etag"]) == (200, {}, '"2"')
    assert code(await client.patch(address, json={"title": "Elm"}, headers={**manager, "If-Match": '"1"'})) == (412, "stale_version")
    assert code(await client.patch(address, json={"title": None}, headers={**manager, "If-Match": '"2"'}))[0] == 400
    assert code(await client.patch(address, json={"colour": "red"}, headers={**manager, "If-Match": '"2"'}))[0] == 400


async def test_duplicates_are_conflicts(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await stool(client, manager)
    assert code(await client.post("/v1/products", json={**STOOL, "variants": []}, headers=manager)) == (409, "slug_taken")
    assert code(await client.post("/v1/products", json={**STOOL, "slug": "other"}, headers=manager)) == (409, "sku_taken")
    again = await client.post(f"/v1/products/{made['id']}/variants", json={"sku": "STOOL-45"}, headers=manager)
    assert code(again) == (409, "sku_taken")


async def test_a_variant_is_added_changed_and_priced_under_the_products_version(
    shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    product = await stool(client, manager)
    made = await client.post(f"/v1/products/{product['id']}/variants", json={"sku": "STOOL-65"}, headers={**manager, "If-Match": '"1"'})
    address = made.headers["location"]
    assert (made.status_code, made.headers["etag"]) == (201, '"2"')
    changed = await client.patch(address, json={"title": "High"}, headers={**manager, "If-Match": '"2"'})
    assert (changed.json()["title"], changed.headers["etag"]) == ("High", '"3"')
    price = {
        "list_price": {"amount": 1000, "currency": "JPY"},
        "sale": {"price": {"amount": 900, "currency": "JPY"}, "minimum_quantity": 2, "ends_at": "2026-05-02T00:00:00+02:00"},
    }
    put = f"{address}/prices/JPY"
    assert code(await client.put(put, json=price, headers=manager)) == (428, "precondition_required")
    priced = await client.put(put, json=price, headers={**manager, "If-Match": '"3"'})
    assert (priced.status_code, priced.headers["etag"]) == (200, '"4"')
    assert priced.json()["prices"][0]["sale"]["ends_at"] == "2026-05-01T22:00:00Z"
    assert (await client.get(address, headers=manager)).json() == priced.json()
    bulk = await client.get(put, params={"quantity": 2}, headers=manager)
    single = await client.get(put, headers=manager)
    assert (bulk.json()["unit_price"]["amount"], single.json()["unit_price"]["amount"]) == (900, 1000)


async def test_nothing_is_exchanged_implicitly(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    variant = (await stool(client, manager))["variants"][0]["id"]
    assert code(await client.get(f"/v1/variants/{variant}/prices/EUR", headers=manager)) == (422, "price_missing")
    assert code(await client.get(f"/v1/variants/{variant}/prices/XXX", headers=manager)) == (422, "unknown_currency")
    put, fresh = f"/v1/variants/{variant}/prices/EUR", {**manager, "If-Match": "*"}
    assert code(await client.put(put, json={"list_price": {"amount": 1, "currency": "USD"}}, headers=fresh)) == (422, "currency_mismatch")
    for amount in (1.5, "1", True):
        assert code(await client.put(put, json={"list_price": {"amount": amount, "currency": "EUR"}}, headers=fresh))[0] == 400
    sale = {"list_price": {"amount": 5, "currency": "EUR"}, "sale": {"price": {"amount": 5, "currency": "EUR"}}}
    assert code(await client.put(put, json=sale, headers=fresh)) == (422, "sale_invalid")
    dear = {"list_price": {"amount": 10**13 + 1, "currency": "EUR"}}
    assert code(await client.put(put, json=dear, headers=fresh)) == (422, "amount_too_large")


async def test_the_list_shows_what_the_caller_may_see_and_walks_by_cursor(
    shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    for n in range(5):
        made = await stool(client, manager, slug=f"s{n}", title=f"Stool {n}", variants=[{"sku": f"S{n}"}])
        if n != 2:
            await client.post(f"/v1/products/{made['id']}/publish", headers=manager)

    async def titles(headers: dict[str, str], **params: str) -> list[str]:
        found: list[str] = []
        address: str | None = "/v1/products"
        answer = await client.get("/v1/products", params={"sort": "title", "limit": "2", **params}, headers=headers)
        while True:
            found += [product["title"] for product in answer.json()["data"]]
            address = answer.json()["next_cursor"] and answer.links["next"]["url"]
            if address is None:
                return found
            answer = await client.get(address, headers=headers)

    assert await titles({}) == ["Stool 0", "Stool 1", "Stool 3", "Stool 4"]
    assert await titles(manager) == [f"Stool {n}" for n in range(5)]
    assert await titles(manager, status="draft") == ["Stool 2"]
    assert await titles({}, status="draft") == []
    assert await titles({}, **{"created_at[gte]": "2999-01-01T00:00:00Z", "sort": "created_at"}) == []
    unordered = await client.get("/v1/products", params={"created_at[lt]": "2999-01-01T00:00:00Z", "sort": "title"})
    assert (unordered.status_code, unordered.json()["code"]) == (422, "period_unordered")
    assert (await client.get("/v1/products", params={"sort": "price"})).status_code == 400
    assert (await client.get("/v1/products", params={"colour": "red"})).status_code == 400


async def test_search_answers_published_products(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await stool(client, manager)
    assert (await client.get("/v1/products/search", params={"q": "oa sto"})).json()["data"] == []
    await client.post(f"/v1/products/{made['id']}/publish", headers=manager)
    found = (await client.get("/v1/products/search", params={"q": "oa sto"})).json()
    assert [product["id"] for product in found["data"]] == [made["id"]]
    assert (await client.get("/v1/products/search")).status_code == 400


async def test_categories_are_made_listed_and_moved(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    async def make(name: str, parent: str | None = None) -> dict[str, Any]:
        answer = await client.post("/v1/categories", json={"name": name, "slug": name.lower(), "parent_id": parent}, headers=manager)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    top = await make("Furniture")
    low = await make("Stools", top["id"])
    assert [each["name"] for each in (await client.get("/v1/categories")).json()["data"]] == ["Furniture"]
    assert [each["name"] for each in (await client.get("/v1/categories", params={"parent": top["id"]})).json()["data"]] == ["Stools"]
    path = (await client.get(f"/v1/categories/{low['id']}")).json()
    assert [each["name"] for each in path["ancestors"]] == ["Furniture"]
    address, first = f"/v1/categories/{top['id']}", {**manager, "If-Match": '"1"'}
    assert code(await client.patch(address, json={"parent_id": low["id"]}, headers=first)) == (422, "category_cycle")
    assert code(await client.patch(address, json={"parent_id": f"cat_{UNKNOWN}"}, headers=first)) == (422, "category_unknown")
    assert code(await client.patch(address, json={"slug": "stools"}, headers=first)) == (409, "slug_taken")
    moved = await client.patch(f"/v1/categories/{low['id']}", json={"parent_id": None}, headers=first)
    assert (moved.json()["parent_id"], moved.headers["etag"]) == (None, '"2"')
    assert code(await client.get(f"/v1/categories/cat_{UNKNOWN}")) == (404, "not_found")
    parent = low["id"]
    for n in range(7):
        parent = (await make(f"Level{n}", parent))["id"]
    deep = await client.post("/v1/categories", json={"name": "Deeper", "slug": "deeper", "parent_id": parent}, headers=manager)
    assert code(deep) == (422, "category_too_deep")


async def test_a_repeated_creation_with_the_same_key_is_replayed(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    keyed = {**manager, "Idempotency-Key": "create-the-stool"}
    first = await client.post("/v1/products", json=STOOL, headers=keyed)
    second = await client.post("/v1/products", json=STOOL, headers=keyed)
    assert (first.status_code, second.status_code, second.headers["idempotent-replayed"]) == (201, 201, "true")
    assert second.json() == first.json()
    assert await shop.admin.fetchval("select count(*) from product") == 1
    variants, high = f"/v1/products/{first.json()['id']}/variants", {"sku": "STOOL-65"}
    first = await client.post(variants, json=high, headers=keyed)
    second = await client.post(variants, json=high, headers=keyed)
    assert (second.json(), second.headers["location"], second.headers["etag"]) == (first.json(), first.headers["location"], '"2"')


async def test_an_answer_that_is_too_large_for_its_key_is_refused_and_nothing_is_made(
    shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]
) -> None:
    variants = [{"sku": f"LARGE-{n}", "title": "\N{SNOWMAN}" * 200} for n in range(100)]
    body = {"title": "A large one", "slug": "a-large-one", "variants": variants}
    refused = await client.post("/v1/products", json=body, headers={**manager, "Idempotency-Key": "large"})
    assert (*code(refused), refused.json()["limit"]) == (422, "answer_too_large", 65536)
    assert (await client.post("/v1/products", json=body, headers=manager)).status_code == 201


async def test_an_archived_product_is_closed(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await stool(client, manager)
    address, variant = f"/v1/products/{made['id']}", f"/v1/variants/{made['variants'][0]['id']}"
    await client.post(f"{address}/archive", headers=manager)
    fresh, price = {**manager, "If-Match": '"2"'}, {"list_price": {"amount": 1, "currency": "USD"}}
    for answer in (
        await client.patch(address, json={"title": "Elm stool"}, headers=fresh),
        await client.post(f"{address}/variants", json={"sku": "MORE"}, headers=manager),
        await client.patch(variant, json={"title": "Low"}, headers=fresh),
        await client.put(f"{variant}/prices/USD", json=price, headers=fresh),
    ):
        assert code(answer) == (409, "product_archived")
    assert "catalog.product_updated" not in await shop.told()


async def test_a_product_has_at_most_a_hundred_variants(shop: Shop, client: httpx.AsyncClient, manager: dict[str, str]) -> None:
    made = await stool(client, manager, variants=[{"sku": f"S{n}"} for n in range(100)])
    full = await client.post(f"/v1/products/{made['id']}/variants", json={"sku": "MORE"}, headers=manager)
    assert code(full) == (422, "too_many_variants")
