"""A page for every problem type, at the address that the problem's `type` names, and an index of all."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from inspect import cleandoc
from typing import Final

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp

from shared.api.problems import status_of
from shared.api.refusals import RouteNotFound
from shared.api.wire import Outgoing
from shared.domain.errors import DomainError

_STYLE: Final = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem;color:#1c1c1c}"
    "code{background:#f2f2f0;padding:.1rem .3rem;border-radius:.2rem}td{padding:.15rem 1.2rem .15rem 0;vertical-align:top}"
)
_NAME: Final = re.compile("`([^`]+)`")
_AS_CODE: Final = r"<code>\1</code>"
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)


def problem_routes(kinds: Mapping[str, Sequence[type[DomainError]]]) -> list[HTTPRouteHandler]:
    """`GET /problems` and `GET /problems/{code}`, rendered once. Classes that share a code share its page."""
    pages = {code: _page(sharing) for code, sharing in kinds.items()}
    contents = _index({code: sharing[0] for code, sharing in kinds.items()})

    @HTTPRouteHandler("/problems", http_method=["GET", "HEAD"], status_code=200)
    async def index() -> ASGIApp:
        return _html(contents)

    @HTTPRouteHandler("/problems/{code:str}", http_method=["GET", "HEAD"], status_code=200)
    async def page(code: FromPath[str]) -> ASGIApp:
        if code not in pages:
            raise RouteNotFound("no problem has this code")
        return _html(pages[code])

    return [index, page]


def _html(body: bytes) -> Outgoing:
    return Outgoing(200, [(b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", _POLICY.encode())], body)


def _page(sharing: Sequence[type[DomainError]]) -> bytes:
    kind = sharing[0]
    texts = dict.fromkeys(part for each in sharing for part in cleandoc(each.__doc__ or each.title).split("\n\n"))
    paragraphs = "".join(f"<p>{_NAME.sub(_AS_CODE, escape(text))}</p>" for text in texts)
    again = "The same request may be sent again later." if kind.retryable else "The same request will be refused again."
    return _document(
        kind.title,
        f"<p><code>{escape(kind.code)}</code> · HTTP status {status_of(kind)}</p>{paragraphs}<p>{again}</p>"
        '<p><a href="/problems">All problems</a></p>',
    )


def _index(kinds: Mapping[str, type[DomainError]]) -> bytes:
    rows = "".join(
        f'<tr><td>{status_of(kind)}</td><td><a href="/problems/{escape(code)}"><code>{escape(code)}</code></a></td>'
        f"<td>{escape(kind.title)}</td></tr>"
        for code, kind in sorted(kinds.items(), key=lambda item: (status_of(item[1]), item[0]))
    )
    return _document("Problems", f"<p>Every problem document names one of these types.</p><table>{rows}</table>")


def _document(title: str, body: str) -> bytes:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>'.encode()
