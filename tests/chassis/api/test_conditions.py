"""ETag, If-Match and If-None-Match: no lost update, and no body that is known already."""

import pytest

from tests.chassis.api.tiny import SHELF, Tiny, bearer


@pytest.fixture
async def url(app: Tiny) -> str:
    response = await app.client.post("/v1/shelves", json=SHELF, headers=bearer("manager"))
    assert response.headers["etag"] == '"1"'
    return str(response.headers["location"])


async def test_a_change_needs_the_version_that_was_read(app: Tiny, url: str) -> None:
    missing = await app.client.patch(url, json={"title": "Elm"}, headers=bearer("manager"))
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    changed = await app.client.patch(url, json={"title": "Elm"}, headers=bearer("manager", **{"If-Match": '"1"'}))
    assert (changed.status_code, changed.headers["etag"], changed.json()["title"]) == (200, '"2"', "Elm")
    stale = await app.client.patch(url, json={"title": "Fir"}, headers=bearer("manager", **{"If-Match": '"1"'}))
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")


@pytest.mark.parametrize("tag", ['W/"1"', '"one"', '"99999999999999999999999999"', '""'])
async def test_a_weak_or_foreign_tag_matches_nothing(app: Tiny, url: str, tag: str) -> None:
    assert (await app.client.delete(url, headers=bearer("manager", **{"If-Match": tag}))).status_code == 412


@pytest.mark.parametrize("tag", ["1", '"1', "", '"1" ', '"' + "1" * 80 + '"', '"a b"', "**"])
async def test_what_is_no_entity_tag_is_refused_also_where_none_is_needed(app: Tiny, url: str, tag: str) -> None:
    box = "/v1/boxes/box_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"
    for refused in (
        await app.client.delete(url, headers=bearer("manager", **{"If-Match": tag})),
        await app.client.put(box, json={"a": 1}, headers={"If-Match": tag}),
        await app.client.get(url, headers={"If-None-Match": tag * 20}),
    ):
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "wrong_format"), refused.request.headers


async def test_a_list_of_tags_is_refused_and_a_star_matches_anything(app: Tiny, url: str) -> None:
    assert (await app.client.delete(url, headers=bearer("manager", **{"If-Match": '"1", "2"'}))).status_code == 400
    gone = await app.client.delete(url, headers=bearer("manager", **{"If-Match": "*"}))
    assert (gone.status_code, gone.content) == (204, b"")


async def test_an_absent_field_of_a_patch_is_untouched(app: Tiny, url: str) -> None:
    response = await app.client.patch(url, json={}, headers=bearer("manager", **{"If-Match": "*"}))
    assert response.json()["title"] == "Oak"


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"7", "1"', "*"])
async def test_what_is_known_is_not_sent_again(app: Tiny, url: str, known: str) -> None:
    response = await app.client.get(url, headers={"If-None-Match": known})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"1"')
    assert "content-length" not in response.headers


async def test_another_version_is_sent(app: Tiny, url: str) -> None:
    response = await app.client.get(url, headers={"If-None-Match": '"2"'})
    assert (response.status_code, response.json()["slug"]) == (200, "oak")


async def test_head_is_get_without_the_body(app: Tiny, url: str) -> None:
    get, head = await app.client.get(url), await app.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


async def test_options_names_every_method_of_the_path(app: Tiny) -> None:
    response = await app.client.options("/v1/shelves")
    assert (response.status_code, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    response = await app.client.options("/v1/shelves/anything")
    assert (response.status_code, response.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH")


async def test_if_match_is_optional_where_the_operation_says_so(app: Tiny) -> None:
    url = "/v1/boxes/box_0199f3a27c5e7d10b4c8a1f2e3d4c5b6"
    for headers, seen in (({}, "None"), ({"If-Match": '"3"'}, "3")):
        response = await app.client.put(url, json={"a": 1}, headers=headers)
        assert (response.status_code, response.json()["principal"]) == (200, seen)
