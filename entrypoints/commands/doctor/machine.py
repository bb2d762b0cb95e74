"""What the doctor looks at on this machine and beside the database: Python, the port, secrets, mail, Redis."""

import asyncio
import errno
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
from redis.exceptions import RedisError

from entrypoints.commands.doctor.findings import Finding, error, note, ok, warning
from shared.infra.config import Settings, variable

OLDEST_PYTHON: Final = (3, 11)
ANSWER_S: Final = 2.0


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return error("python", f"this is Python {text}", "install Python 3.11 or newer and run `make PYTHON=python3.11 setup`")
    return ok("python", f"Python {text}")


def secrets(settings: Settings) -> Iterator[Finding]:
    """Production has refused weak ones already, when it read its settings."""
    fix = 'generate one with `python3 -c "import secrets; print(secrets.token_urlsafe(48))"`'
    for field, secret in (("secret", settings.secret), ("db_secret", settings.db_secret)):
        if weakness := secret.weakness():
            yield warning("secrets", f"{variable(field)} {weakness}; production would refuse it", fix)
        else:
            yield ok("secrets", f"{variable(field)} is strong enough")
    if settings.secret == settings.db_secret:
        yield warning("secrets", "tokens and database passwords derive from one secret: one leak opens both", fix)


async def port(settings: Settings) -> Finding:
    """Taken by a Tenon that runs is as it should be."""
    place = f"{settings.host}:{settings.port}"
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as failed:
            if failed.errno != errno.EADDRINUSE:
                return error("port", f"{place}: {failed.strerror}", f"set {variable('host')} and {variable('port')} to what is yours here")
        else:
            return ok("port", f"{place} is free")
    if await _answers(settings):
        return ok("port", f"a Tenon listens on {place}")
    return error("port", f"{place} is taken by another program", f"stop it, or set {variable('port')} to a free one")


async def mail(settings: Settings) -> Finding:
    url = urlsplit(settings.mail_url)
    if url.scheme == "file":
        return await asyncio.to_thread(_outbox, Path(unquote(url.path)))
    host, number = url.hostname or "localhost", url.port or (465 if url.scheme == "smtps" else 25)
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(host, number)
        writer.close()
    except OSError as failed:  # a timeout is one, too
        reason = failed.strerror or "no answer"
        return warning(
            "mail", f"the mail server {host}:{number} cannot be reached: {reason}", f"check {variable('mail_url')}; mails wait meanwhile"
        )
    return ok("mail", f"the mail server {host}:{number} answers")


async def redis(client: Any) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_S):
            about = await client.info("server")
    except (RedisError, OSError) as failed:
        reason = str(failed) or "no answer"
        return warning("redis", f"Redis: {reason}", f"check {variable('redis_url')}; without it Tenon is degraded, not down")
    return ok("redis", f"{about.get('server_name', 'redis')} {about.get('valkey_version') or about['redis_version']}")


def modules(settings: Settings, all_modules: list[str]) -> Finding:
    if settings.modules and (missing := [name for name in all_modules if name not in settings.modules]):
        return note("modules", f"this process does not host {', '.join(missing)}", f"see {variable('modules')}; another process has to")
    return ok("modules", f"hosts all {len(all_modules)} modules")


def _outbox(folder: Path) -> Finding:
    """Tried, not asked: permissions are only one of the reasons."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as failed:
        return error(
            "mail", f"mails cannot be written into {folder}: {failed.strerror}", f"make it writable, or change {variable('mail_url')}"
        )
    return ok("mail", f"mails are written into {folder}")


async def _answers(settings: Settings) -> bool:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as client:
            answer = await client.get(f"http://{host}:{settings.port}/health/live")
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and '"alive"' in answer.text
