"""`make demo`: a purchase told call by call, then what goes wrong in shops and does not go wrong here."""

import asyncio
import contextlib
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from rich.console import Console
from rich.markup import escape

from entrypoints.development import seed
from entrypoints.development.children import Scratch, free_port
from entrypoints.development.home import Home
from entrypoints.development.shopper import Disappointed, Shopper

PATIENCE_S: Final = 60.0
POLL_S: Final = 0.05
BUYERS: Final = 10
ENOUGH: Final = 10
ADDRESS: Final = {"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"}
PASSWORD: Final = "seven oak planks in the rain"  # noqa: S105 - of an account that the demo makes up


@dataclass(frozen=True)
class Stage:
    """A running Tenon: where it listens and where its mail goes."""

    url: str
    outbox: Path


def main(home: Home) -> int:
    """Play everything, on the system of `home` if that is running; 0 only if every step did what it says."""
    say = Console(highlight=False, soft_wrap=True)
    try:
        asyncio.run(play(say, home))
    except (Disappointed, httpx.HTTPError, TimeoutError) as failure:
        say.print(f"\n[red]The story broke:[/red] {escape(str(failure) or type(failure).__name__)}")
        return 1
    say.print("\n[green]Every step did what it says.[/green]")
    return 0


async def play(say: Console, home: Home) -> None:
    async with stage(home) as here, httpx.AsyncClient(base_url=here.url, timeout=30) as client:
        say.print(f"[bold]Tenon on {here.url}[/bold]")
        guest = Shopper(client, say)
        staff = await open_shop(say, guest)
        customer = await sign_up(say, guest, here)
        bought = await buy(say, customer, here)
        await decline(say, customer, staff)
        await repeat(say, customer, bought)
        await race(say, guest, staff)


@contextlib.asynccontextmanager
async def stage(home: Home) -> AsyncIterator[Stage]:
    """The system that `make run` serves, or one for the time of the story."""
    if (environment := home.running()) is not None:
        yield stage_of(environment)
        return
    scratch = Scratch(None)
    own, log = Home(scratch.path / "home"), scratch.path / "log"
    scratch.path.chmod(0o711)  # Postgres may have to run as another account
    command = [sys.executable, "-m", "entrypoints", "dev", "--with-parent", "--home", str(own.path), "--port", str(free_port())]
    try:
        with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as server:  # noqa: ASYNC220 - our own command
            try:
                await until(lambda: ended(server, log) or own.running(), "the server did not start")
                yield stage_of(own.running() or {})
            finally:
                server.terminate()
    finally:
        scratch.remove()


async def open_shop(say: Console, guest: Shopper) -> Shopper:
    say.print("\n[bold]The shop's admin logs in, and sees to it that there is something to sell[/bold]")
    who = next(login for login in seed.LOGINS if login.role == "admin")
    answer = await guest.call("logs in", "POST", "/v1/auth/login", {"email": who.email, "password": who.password}, expect=200)
    staff = guest.holding(authorization=f"Bearer {answer.json()['access_token']}")
    for product in await shelf(staff):
        sku = product["variants"][0]["sku"]
        if (lacking := ENOUGH - await available(staff, sku)) > 0:
            movement = {"kind": "received", "sku": sku, "quantity": lacking, "reason": "for the next customers"}
            key = secrets.token_hex(8)
            await staff.call("receives some more", "POST", "/v1/stock_movements", movement, expect=201, idempotency_key=key)
    return staff


async def sign_up(say: Console, guest: Shopper, here: Stage) -> Shopper:
    say.print("\n[bold]A customer registers, confirms the address and logs in[/bold]")
    email = f"ada.{secrets.token_hex(4)}@example.org"
    await guest.call("registers", "POST", "/v1/users", {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}, expect=202)
    link = re.search(r"https?://\S+/v1/auth/verify\?token=\S+", await mail_to(here, email, "verify"))
    if link is None:
        raise Disappointed("the mail holds no link")
    token = parse_qs(urlsplit(link[0]).query)["token"][0]
    await guest.call("opens the mailed link", "POST", "/v1/auth/verify", {"token": token}, expect=204)
    login = await guest.call("logs in", "POST", "/v1/auth/login", {"email": email, "password": PASSWORD}, expect=200)
    customer = guest.holding(authorization=f"Bearer {login.json()['access_token']}")
    await customer.read("is known", "/v1/me")
    return customer


async def buy(say: Console, customer: Shopper, here: Stage) -> dict[str, Any]:
    say.print("\n[bold]She browses, fills a cart and completes it[/bold]")
    product, _ = await shelf(customer)
    await customer.read("searches", f"/v1/products/search?q={product['title'].split()[0]}")
    cart = await fill_cart(customer, product["variants"][0]["id"], quantity=2)
    order = await complete(customer, cart, "pm_card_ok", "completes it")
    order = await customer.read("follows the order", f"/v1/orders/{order['id']}")
    while order["payment_status"] != "paid":
        await asyncio.sleep(POLL_S)
        order = await customer.read("follows the order", f"/v1/orders/{order['id']}")
    timeline = await customer.read("reads its timeline", f"/v1/orders/{order['id']}/timeline")
    say.print(f"       order {order['number']}: {', '.join(entry['kind'] for entry in timeline['data'])}")
    await mail_to(here, order["number"], "confirmation")
    say.print(f"       the confirmation lies in {here.outbox}")
    return {"order": order, "cart": cart}


async def decline(say: Console, customer: Shopper, staff: Shopper) -> None:
    say.print("\n[bold]A card is declined: the stock comes back, the cart stays open, a second card succeeds[/bold]")
    _, product = await shelf(customer)
    variant = product["variants"][0]
    before = await available(staff, variant["sku"])
    cart = await fill_cart(customer, variant["id"], quantity=1)
    refused = await complete(customer, cart, "pm_card_declined", "pays with a bad card", expect=402)
    say.print(f"       refused: {refused['code']}")
    if await available(staff, variant["sku"]) != before:
        raise Disappointed("the stock did not come back")
    if (await customer.read("sees the cart", f"/v1/carts/{cart['id']}"))["status"] != "open":
        raise Disappointed("the cart is not open")
    await complete(customer, cart, "pm_card_ok", "pays with another card")


async def repeat(say: Console, customer: Shopper, bought: dict[str, Any]) -> None:
    say.print("\n[bold]The same Idempotency-Key twice: one effect, the same answer[/bold]")
    product, _ = await shelf(customer)
    cart = await fill_cart(customer, product["variants"][0]["id"], quantity=1)
    key = secrets.token_hex(8)
    first = await complete(customer, cart, "pm_card_ok", "completes a cart", key=key)
    path, body = f"/v1/carts/{cart['id']}/complete", {"expected_total": cart["total"], "payment_method": "pm_card_ok"}
    second = await customer.call("sends the request again", "POST", path, body, expect=201, idempotency_key=key)
    if second.json() != first or second.headers.get("idempotent-replayed") != "true":
        raise Disappointed("the second answer is not a replay of the first")
    say.print("       Idempotent-Replayed: true")
    again = await complete(customer, bought["cart"], "pm_card_ok", "another key on the cart of before")
    if again["id"] != bought["order"]["id"]:
        raise Disappointed("one cart became two orders")


async def race(say: Console, guest: Shopper, staff: Shopper) -> None:
    say.print(f"\n[bold]One in stock, {BUYERS} buyers at the same moment[/bold]")
    product = await last_one(staff)
    variant = product["variants"][0]["id"]
    carts = []
    for _ in range(BUYERS):
        made = (await guest.call("begins a cart", "POST", "/v1/carts", {"currency": "USD"}, expect=201, quiet=True)).json()
        buyer = guest.holding(cart_token=made["token"])
        carts.append((buyer, await fill_cart(buyer, variant, quantity=1, cart=made["cart"], quiet=True)))
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(attempt(buyer, cart)) for buyer, cart in carts]
    outcomes = sorted(task.result() for task in tries)
    say.print(f"       {outcomes.count(201)} order, {outcomes.count(409)} times not enough in stock")
    await staff.call("takes it off the shelf", "POST", f"/v1/products/{product['id']}/archive", expect=200)
    if outcomes != [201] + [409] * (BUYERS - 1):
        raise Disappointed(f"one unit was sold to {outcomes.count(201)} buyers: {outcomes}")


async def last_one(staff: Shopper) -> dict[str, Any]:
    """A new product of which there is a single piece."""
    sku = f"LAST-{secrets.token_hex(4).upper()}"
    price = {"list_price": {"amount": 4900, "currency": "USD"}}
    body = {"title": "The last oak stool", "slug": sku.lower(), "variants": [{"sku": sku, "prices": [price]}]}
    product = (await staff.call("adds a product", "POST", "/v1/products", body, expect=201)).json()
    await staff.call("publishes it", "POST", f"/v1/products/{product['id']}/publish", expect=200)
    movement = {"kind": "received", "sku": sku, "quantity": 1, "reason": "the last one"}
    await staff.call("receives one piece", "POST", "/v1/stock_movements", movement, expect=201, idempotency_key=sku)
    return dict(product)


async def fill_cart(
    shopper: Shopper, variant_id: str, *, quantity: int, cart: dict[str, Any] | None = None, quiet: bool = False
) -> dict[str, Any]:
    """A cart with everything that completion needs."""
    if cart is None:
        begun = await shopper.call("begins a cart", "POST", "/v1/carts", {"currency": "USD"}, expect=201, quiet=quiet)
        cart = begun.json()["cart"]
    path = f"/v1/carts/{cart['id']}"
    details = {"shipping_address": ADDRESS, "email": "guest@example.org"}
    patched = await shopper.call("says where to", "PATCH", path, details, expect=200, quiet=quiet, if_match=f'"{cart["version"]}"')
    item = {"variant_id": variant_id, "quantity": quantity}
    filled = await shopper.call("puts it in", "POST", f"{path}/items", item, expect=201, quiet=quiet)
    if filled.json()["requirements"] or patched.json()["id"] != cart["id"]:
        raise Disappointed(f"the cart still needs {filled.json()['requirements']}")
    return dict(filled.json())


async def complete(
    shopper: Shopper, cart: dict[str, Any], method: str, what: str, *, expect: int = 201, key: str | None = None
) -> dict[str, Any]:
    body = {"expected_total": cart["total"], "payment_method": method}
    path = f"/v1/carts/{cart['id']}/complete"
    answer = await shopper.call(what, "POST", path, body, expect=expect, idempotency_key=key or secrets.token_hex(8))
    return dict(answer.json())


async def attempt(buyer: Shopper, cart: dict[str, Any]) -> int:
    """One buyer's completion: 201, or 409 for want of stock."""
    try:
        await complete(buyer, cart, "pm_card_ok", "a buyer tries")
    except Disappointed as refused:
        if "insufficient_stock" not in str(refused):
            raise
        return 409
    return 201


async def shelf(shopper: Shopper) -> list[dict[str, Any]]:
    """The two products of the demo data that the story is about."""
    wanted = [seed.slug(goods.title) for goods in seed.GOODS[:2]]
    listed = (await shopper.read("browses", "/v1/products?sort=created_at&limit=20"))["data"]
    found = {product["slug"]: product for product in listed}
    if lacking := [name for name in wanted if name not in found]:
        raise Disappointed(f"the demo data is not there: no {', '.join(lacking)} among the products")
    return [found[name] for name in wanted]


async def available(shopper: Shopper, sku: str) -> int:
    levels = await shopper.read("looks at the stock", f"/v1/stock_levels?sku={sku}")
    return sum(level["available"] for level in levels["data"])


async def mail_to(here: Stage, who: str, what: str) -> str:
    """The text of the mail that mentions `who`, once it lies in the outbox."""
    found: list[str] = []

    def look() -> bool:
        for file in sorted(here.outbox.glob("*.eml"), key=lambda path: path.stat().st_mtime):
            message = message_from_bytes(file.read_bytes(), policy=policy.default)
            body = message.get_body(("plain",))
            text = f"{message['to']} {message['subject']}\n{body.get_content() if body else ''}"
            if who in text:
                found.append(text)
        return bool(found)

    await until(look, f"the {what} mail did not arrive")
    return found[-1]


async def until(condition: Callable[[], Any], otherwise: str) -> None:
    """Poll until `condition` holds; raises Disappointed after a minute."""
    ends = monotonic() + PATIENCE_S
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        if monotonic() > ends:
            raise Disappointed(otherwise)
        await asyncio.sleep(POLL_S)


def stage_of(environment: dict[str, str]) -> Stage:
    outbox = Home.outbox(environment["TENON_MAIL_URL"])
    if outbox is None:
        raise Disappointed("the running system sends its mail to a server; the story reads it in a folder: leave TENON_MAIL_URL out")
    return Stage(environment["TENON_PUBLIC_URL"], outbox)


def ended(server: "subprocess.Popen[bytes]", log: Path) -> bool:
    """Raises Disappointed with the server's last words when it has ended."""
    if server.poll() is None:
        return False
    raise Disappointed(f"the server ended: {log.read_text(errors='replace')[-2000:]}")
