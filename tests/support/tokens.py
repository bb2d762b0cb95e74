"""Bearer tokens for tests, made with the application's own key and without a log-in."""

from collections.abc import Iterable
from typing import Any

from shared.domain.clock import SystemClock
from shared.domain.ids import new_id


def bearer(container: Any, roles: Iterable[str] = ("customer",), *, user_id: str | None = None) -> dict[str, str]:
    """The headers of somebody with these roles; a user who exists only in the token, unless `user_id` is given."""
    token = container.shared.issuer().issue(
        subject=user_id or new_id("usr"),
        session=new_id("ses"),
        token_id=new_id("jti"),
        roles=roles,
        authenticated_at=SystemClock().now(),
        methods=("pwd",),
    )
    return {"Authorization": f"Bearer {token}"}
