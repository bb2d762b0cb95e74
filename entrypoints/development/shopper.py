"""An HTTP client that tells what it does: one line per call, with its time and the SQL statements that it cost."""

import re
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

import httpx
from rich.console import Console

_STATEMENTS: Final = re.compile(r'desc="(\d+) statements"')


class Disappointed(Exception):
    """A call did not answer what the story says."""


class Shopper:
    """`headers` carry the credential; every call says which status it expects, and the story ends when it gets another."""

    def __init__(self, client: httpx.AsyncClient, say: Console, headers: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._say = say
        self._headers = dict(headers or {})

    def holding(self, **credential: str) -> "Shopper":
        """The same shopper with another credential, `authorization` or `cart_token`."""
        return Shopper(self._client, self._say, {name.replace("_", "-"): value for name, value in credential.items()})

    async def call(
        self, what: str, method: str, path: str, body: object = None, *, expect: int, quiet: bool = False, **headers: str
    ) -> httpx.Response:
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        began = perf_counter()
        answer = await self._client.request(method, path, json=body, headers=sent)
        if not quiet:
            self._tell(what, method, path, answer, perf_counter() - began)
        if answer.status_code != expect:
            raise Disappointed(f"{method} {path} answered {answer.status_code} instead of {expect}: {answer.text}")
        return answer

    async def read(self, what: str, path: str, **options: Any) -> Any:
        """A GET that must succeed; answers its document."""
        return (await self.call(what, "GET", path, expect=200, **options)).json()

    def _tell(self, what: str, method: str, path: str, answer: httpx.Response, seconds: float) -> None:
        statements = _STATEMENTS.search(answer.headers.get("server-timing", ""))
        cost = f"{seconds * 1000:6.1f} ms {statements[1] if statements else '?':>3} SQL"
        shown = re.sub(r"[0-9a-f]{26}(?=[0-9a-f]{6})", "…", path.partition("?")[0])
        self._say.print(f"  {answer.status_code}  [dim]{cost}[/dim]  {what:<46} [dim]{method} {shown}[/dim]")
