"""Two small modules and an app of them: everything that the edge promises, without a database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, cast

import httpx
import msgspec
from litestar import Controller, Litestar, Request
from litestar.di import NamedDependency
from litestar.params import FromHeader, FromPath, FromQuery, HeaderParameter, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from shared.api.answers import Reply, accepted, created, no_content, ok
from shared.api.conditional import if_match
from shared.api.health import Check, Lifecycle
from shared.api.idempotency import once
from shared.api.middleware import EdgeOptions
from shared.api.paging import Page, Paging
from shared.api.routes import delete, get, patch, post, put
from shared.api.types import Email, Id, Money, Quantity, Slug, Title
from shared.api.wiring import build_app
from shared.domain.context import Principal, current
from shared.domain.errors import Busy, Conflict, Declined, NotFound, RuleViolated, StaleVersion, Unauthenticated, Unavailable
from shared.domain.ids import new_id
from shared.domain.limits import RateLimits
from shared.domain.once import AlreadyDone, Answer, InFlight, KeyReused, Once
from shared.domain.once import once as current_once
from shared.domain.page import PageRequest, Slice, cut
from shared.domain.policy import Policy, public, roles, shopper
from shared.infra.limits.limits import LocalLimits
from shared.infra.signing import Signer

T = TypeVar("T")

PUBLIC_URL = "https://shop.example"


class SlugTaken(Conflict):
    """Another shelf has this slug.

    Choose <another> one."""

    code = "test_slug_taken"
    title = "The slug is taken"


class ShelfFull(RuleViolated):
    """The shelf has no place left."""

    code = "test_shelf_full"
    title = "The shelf is full"


class ShopClosed(Unavailable):
    """Nobody is in."""

    code = "test_shop_closed"
    title = "The shop is closed"


class CardDeclined(Declined):
    """The card was declined."""

    code = "test_card_declined"
    title = "Card declined"


class Shelf(msgspec.Struct, frozen=True):
    id: Id
    slug: Slug
    title: Title
    price: Money
    version: int = 1


class ShelfPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sku: Annotated[str, Meta(min_length=1, max_length=20, examples=["A-1"])]
    quantity: Quantity


class CreateShelf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    slug: Slug
    title: Title
    price: Money
    parts: Annotated[list[ShelfPart], Meta(max_length=10)] = []
    contact: Email | None = None
    labels: dict[str, str] = {}
    finish: Literal["raw", "oiled"] = "raw"


class UpdateShelf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: Title | UnsetType = UNSET
    contact: Email | UnsetType | None = UNSET


class Waiting(msgspec.Struct, frozen=True):
    saga_id: Annotated[str, Meta(examples=["sag_1"])]


@dataclass
class Shelves:
    """Keeps shelves in a dictionary, and plays the part of `transact` for idempotency keys."""

    rows: dict[str, Shelf] = field(default_factory=dict)
    kept: dict[tuple[str, str], tuple[bytes, Answer]] = field(default_factory=dict)
    running: set[tuple[str, str]] = field(default_factory=set)
    effects: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self, body: CreateShelf) -> Shelf:
        def work() -> Shelf:
            if any(row.slug == body.slug for row in self.rows.values()):
                raise SlugTaken(f"{body.slug} is taken", slug=body.slug)
            shelf = Shelf(new_id("shf"), body.slug, body.title, body.price)
            self.rows[shelf.id] = shelf
            return shelf

        return await self.transact(work)

    async def shelf(self, shelf_id: str) -> Shelf:
        if shelf_id not in self.rows:
            raise NotFound("no such shelf")
        return self.rows[shelf_id]

    async def update(self, shelf_id: str, body: UpdateShelf, expected: int | None) -> Shelf:
        shelf = await self.shelf(shelf_id)
        if expected is not None and expected != shelf.version:
            raise StaleVersion("the shelf has changed")
        title = shelf.title if body.title is UNSET else body.title
        self.rows[shelf_id] = Shelf(shelf.id, shelf.slug, title, shelf.price, shelf.version + 1)
        return self.rows[shelf_id]

    async def remove(self, shelf_id: str, expected: int | None) -> None:
        shelf = await self.shelf(shelf_id)
        if expected is not None and expected != shelf.version:
            raise StaleVersion("the shelf has changed")
        del self.rows[shelf_id]

    async def page(self, request: PageRequest, sort: str, title: str | None) -> Slice[Shelf]:
        rows = sorted(self.rows.values(), key=lambda row: row.slug, reverse=sort.startswith("-"))
        rows = [row for row in rows if title is None or row.title == title]
        if request.after:
            after = str(request.after[0])
            rows = [row for row in rows if (row.slug < after if sort.startswith("-") else row.slug > after)]
        return cut(rows[: request.limit + 1], request, lambda row: (row.slug,))

    async def fill(self, amount: int) -> Shelf | Waiting | CardDeclined:
        def work() -> Shelf | Waiting | CardDeclined:
            self.effects += 1
            if amount == 402:
                return CardDeclined("no")
            return Waiting("sag_1") if amount == 202 else Shelf(new_id("shf"), "a", "A", Money(1, "USD"))

        if amount == 422:
            raise ShelfFull("no place left", free=0)
        return await self.transact(work)

    async def transact(self, work: Callable[[], T]) -> T:
        once_: Once | None = current_once.get()
        if once_ is None:
            return work()
        name = (once_.scope, once_.key)
        if name in self.kept:
            fingerprint, answer = self.kept[name]
            if fingerprint != once_.fingerprint:
                raise KeyReused("used for another request")
            raise AlreadyDone(answer)
        if name in self.running:
            raise InFlight("still running")
        self.running.add(name)
        try:
            await asyncio.sleep(0)
            result = work()
            self.kept[name] = (once_.fingerprint, once_.render(result))
        finally:
            self.running.discard(name)
        return result


class ShelfRoutes(Controller):
    path = "/v1/shelves"
    tags = ("shelves",)

    @post(operation="createShelf", errors=[SlugTaken])
    async def create(self, data: CreateShelf, request: Request[Any, Any, Any], shelves: NamedDependency[Shelves]) -> Reply[Shelf]:
        """Put up a shelf.

        It is empty at first."""
        return await once(request, shelves.create(data), created("/v1/shelves"))

    @get(operation="listShelves", sort=("slug", "-slug"))
    async def page(self, paging: Paging, shelves: NamedDependency[Shelves], title: FromQuery[Title | None] = None) -> Reply[Page[Shelf]]:
        """List shelves."""
        return paging.page(await shelves.page(paging.request, paging.sort, title))

    @get("/{shelf_id:str}", operation="getShelf", errors=[NotFound])
    async def read(self, shelf_id: FromPath[Id], shelves: NamedDependency[Shelves]) -> Reply[Shelf]:
        """Read one shelf."""
        return ok(await shelves.shelf(shelf_id))

    @patch("/{shelf_id:str}", operation="updateShelf", errors=[NotFound])
    async def update(
        self, shelf_id: FromPath[Id], data: UpdateShelf, request: Request[Any, Any, Any], shelves: NamedDependency[Shelves]
    ) -> Reply[Shelf]:
        """Change a shelf."""
        return ok(await shelves.update(shelf_id, data, if_match(request)))

    @delete("/{shelf_id:str}", operation="deleteShelf", errors=[NotFound])
    async def remove(self, shelf_id: FromPath[Id], request: Request[Any, Any, Any], shelves: NamedDependency[Shelves]) -> Reply[None]:
        """Take a shelf down."""
        await shelves.remove(shelf_id, if_match(request))
        return no_content()

    @post(
        "/{shelf_id:str}/fill",
        operation="fillShelf",
        errors=[ShelfFull, CardDeclined],
        idempotent="required",
        answers={202: Waiting},
    )
    async def fill(
        self,
        shelf_id: FromPath[Id],
        amount: Annotated[Quantity, QueryParameter(description="How much")],
        request: Request[Any, Any, Any],
        shelves: NamedDependency[Shelves],
    ) -> Reply[Shelf | Waiting]:
        """Fill a shelf."""

        def render(result: Shelf | Waiting | CardDeclined) -> Reply[Shelf | Waiting]:
            if isinstance(result, CardDeclined):
                raise result
            if isinstance(result, Waiting):
                return accepted(result, f"/v1/operations/{result.saga_id}")
            return created("/v1/shelves")(result)

        return await once(request, shelves.fill(amount), render)


class Echo(msgspec.Struct, frozen=True):
    principal: str
    flag: bool | None
    kinds: list[str]
    when: str


@dataclass
class Boxes:
    """What goes wrong, on demand."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def replace(self, box_id: str, labels: Mapping[str, int], expected: int | None) -> Echo:
        return Echo(str(expected), None, sorted(labels), box_id)

    async def fail(self, how: str) -> Shelf:
        if how == "crash":
            raise ZeroDivisionError("secret detail of the inside")
        if how == "busy":
            raise Busy("every place is taken", retry_after=7)
        if how == "closed":
            raise ShopClosed("come again")
        if how == "undocumented":
            raise ShelfFull("not in the documentation of this route")
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError("unreachable")


class BoxRoutes(Controller):
    path = "/v1/boxes"

    @get("/fail", operation="failBox")
    async def fail(
        self, how: FromQuery[Literal["crash", "busy", "closed", "undocumented", "hang"]], boxes: NamedDependency[Boxes]
    ) -> Reply[Shelf]:
        """Fail in the way that is asked for."""
        return ok(await boxes.fail(how))

    @get("/staff", operation="readStaffBox")
    async def staff(self, boxes: NamedDependency[Boxes]) -> Reply[Echo]:
        """Read what only staff may."""
        return ok(Echo("staff", None, [], ""))

    @get("/echo", operation="echoBox")
    async def echo(
        self,
        request: Request[Any, Any, Any],
        x_when: Annotated[Annotated[str, Meta(max_length=5, examples=["now"])], HeaderParameter(name="X-When")] = "never",
        flag: FromQuery[bool | None] = None,
        kinds: FromQuery[Annotated[list[Literal["a", "b"]], Meta(max_length=2)] | None] = None,
        since: Annotated[Annotated[datetime, Meta(tz=True)] | None, QueryParameter(name="at[gte]")] = None,
    ) -> Reply[Echo]:
        """Say what was understood."""
        return ok(Echo(current().principal.scope, flag, list(kinds or []), since.isoformat() if since else x_when))

    @put("/{box_id:str}", operation="replaceBox", if_match="optional")
    async def replace(
        self, box_id: FromPath[Id], data: dict[str, int], request: Request[Any, Any, Any], boxes: NamedDependency[Boxes]
    ) -> Reply[Echo]:
        """Replace a box."""
        return ok(await boxes.replace(box_id, data, if_match(request)))

    @post("/open", operation="openBox", idempotent="never", status=200)
    async def open(self, token: FromHeader[Title | None] = None) -> Reply[Echo]:
        """Open the box, which needs no key."""
        return ok(Echo("", None, [], token or ""))


@dataclass(frozen=True)
class TinyModule:
    name: str
    controllers: Sequence[type[Controller]]
    use_cases: Mapping[str, object]
    policy: Policy


SHELF_POLICY: Policy = {
    "createShelf": roles("manager", "admin"),
    "listShelves": public(),
    "getShelf": public(),
    "updateShelf": roles("manager"),
    "deleteShelf": roles("manager"),
    "fillShelf": shopper(),
}
BOX_POLICY: Policy = {
    "failBox": public(),
    "readStaffBox": roles("support"),
    "echoBox": public(),
    "replaceBox": public(),
    "openBox": public(),
}


class TokensByName:
    """`manager` is a manager's token, and so on; `broken` breaks the authenticator."""

    async def authenticate(self, bearer: str) -> Principal:
        if bearer == "broken":
            raise ConnectionError("the key store is gone")
        if bearer not in ("customer", "support", "manager", "admin"):
            raise Unauthenticated("unknown token")
        return Principal(kind="user", id=f"usr_{bearer}", roles=frozenset({bearer}), verified=True)


@dataclass
class Tiny:
    app: Litestar
    client: httpx.AsyncClient
    shelves: Shelves
    boxes: Boxes
    lifecycle: Lifecycle


def modules(shelves: Shelves, boxes: Boxes) -> list[TinyModule]:
    return [
        TinyModule("shelves", [ShelfRoutes], {"shelves": shelves}, SHELF_POLICY),
        TinyModule("boxes", [BoxRoutes], {"boxes": boxes}, BOX_POLICY),
    ]


@asynccontextmanager
async def tiny(
    options: EdgeOptions | None = None,
    checks: Sequence[Check] = (),
    more: Sequence[TinyModule] = (),
    limits: RateLimits | None = None,
) -> AsyncIterator[Tiny]:
    """The app in this event loop, started; without `limits` it counts for itself."""
    shelves, boxes, lifecycle = Shelves(), Boxes(), Lifecycle()
    app = build_app(
        [*modules(shelves, boxes), *more],
        authenticator=TokensByName(),
        limits=limits or LocalLimits(),
        signer=Signer(b"k" * 32),
        public_url=PUBLIC_URL,
        options=options,
        checks=checks,
        lifecycle=lifecycle,
    )
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield Tiny(app, client, shelves, boxes, lifecycle)


def bearer(name: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}", **more}


SHELF = {"slug": "oak", "title": "Oak", "price": {"amount": 1099, "currency": "USD"}}
