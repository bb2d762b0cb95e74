"""The gate at the end of a whole run: what the documentation promises and no test was answered."""

import httpx
import msgspec
import pytest

from tests.support.answers import ANSWERS, remember, unseen

PROBLEM = "application/problem+json"


def operation(name: str, *codes: str) -> dict[str, object]:
    refused: dict[str, object] = {"content": {PROBLEM: {"examples": {code: {} for code in codes}}}}
    return {"operationId": name, "responses": {"200": {}, "409": refused, "default": {"content": {PROBLEM: {"examples": {"other": {}}}}}}}


DOCUMENT = msgspec.json.encode(
    {
        "paths": {
            "/v1/stools": {"get": operation("listStools"), "post": operation("createStool", "taken", "broken")},
            "/v1/stools/{stool_id}": {"get": operation("getStool", "gone")},
            "/v1/stools/search": {"get": operation("searchStools", "gone")},
        }
    }
)


def test_what_nobody_has_seen_is_named_with_its_operation() -> None:
    assert unseen(DOCUMENT, []) == ["broken of createStool", "gone of getStool, searchStools", "taken of createStool"]
    assert unseen(DOCUMENT, [("post", "/v1/stools", "taken")]) == ["broken of createStool", "gone of getStool, searchStools"]


@pytest.mark.parametrize(("path", "left"), [("/v1/stools/search", "getStool"), ("/v1/stools/id", "searchStools")])
def test_a_path_belongs_to_the_template_with_its_own_words_first(path: str, left: str) -> None:
    assert unseen(DOCUMENT, [("get", path, "gone")]) == ["broken of createStool", f"gone of {left}", "taken of createStool"]


async def test_a_problem_is_remembered_by_its_path_without_ids() -> None:
    request = httpx.Request("GET", "http://test/v1/stools/stl_0199f3a27c5e7d10b4c8a1f2e3d4c5b6?colour=red")
    await remember(httpx.Response(409, headers={"content-type": PROBLEM}, content=b'{"code":"gone"}', request=request))
    try:
        assert ("get", "/v1/stools/id", "gone") in ANSWERS
    finally:
        ANSWERS.discard(("get", "/v1/stools/id", "gone"))
