"""The reference for people at /docs: Scalar's bundle from this package, under a policy that lets it call nobody else."""

import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from shared.api.conditional import not_modified
from shared.api.headers import value
from shared.api.wire import JSON, Outgoing

_BUNDLE: Final = Path(__file__).parent / "scalar" / "standalone.js"
_WELCOME: Final = b'{"name":"Tenon","docs":"/docs","openapi":"/openapi.json"}'
_START: Final = """
Scalar.createApiReference('#reference', {
  url: '/openapi.json', withDefaultFonts: false, hideClientButton: true, telemetry: false, showDeveloperTools: 'never',
  agent: {disabled: true}
})
"""


def documentation_routes(document: bytes) -> list[HTTPRouteHandler]:
    """`GET /openapi.json`, `GET /docs`, the script that the page runs, and the way there from `/`."""
    script = _BUNDLE.read_bytes()
    script_path = f"/docs/scalar-{sha256(script).hexdigest()[:12]}.js"
    tag = f'"{sha256(document).hexdigest()[:16]}"'

    @HTTPRouteHandler("/openapi.json", http_method=["GET", "HEAD"], status_code=200)
    async def openapi(request: Request[Any, Any, Any]) -> ASGIApp:
        headers = [(b"etag", tag.encode()), (b"cache-control", b"no-cache")]
        if not_modified(value(request, b"if-none-match") or "", tag):
            return Outgoing(304, headers, b"")
        return Outgoing(200, [*headers, JSON], document)

    @HTTPRouteHandler("/docs", http_method=["GET", "HEAD"], status_code=200)
    async def docs() -> ASGIApp:
        nonce = secrets.token_urlsafe(16)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _policy(nonce)),
            (b"cache-control", b"no-store"),
        ]
        return Outgoing(200, headers, _page(script_path, nonce))

    @HTTPRouteHandler(script_path, http_method=["GET", "HEAD"], status_code=200)
    async def bundle() -> ASGIApp:
        forever = (b"cache-control", b"public, max-age=31536000, immutable")
        return Outgoing(200, [(b"content-type", b"text/javascript; charset=utf-8"), forever], script)

    @HTTPRouteHandler("/", http_method=["GET", "HEAD"], status_code=302)
    async def home() -> ASGIApp:
        return Outgoing(302, [(b"location", b"/docs"), (b"cache-control", b"no-cache"), JSON], _WELCOME)

    return [openapi, docs, bundle, home]


def _policy(nonce: str) -> bytes:
    """Scripts by nonce, and nothing from elsewhere. The bundle writes its styles into the page, so those are allowed inline."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
        "connect-src 'self'; worker-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


def _page(script_path: str, nonce: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Tenon API</title><link rel="icon" href="data:,"></head><body><div id="reference"></div>'
        f'<script nonce="{nonce}" src="{script_path}"></script><script nonce="{nonce}">{_START}</script></body></html>'
    ).encode()
