"""Changing many prices by a percentage: a job that goes through the products in steps, so that each is changed once."""

from decimal import Decimal
from typing import Final

import msgspec

from modules.catalog.domain.errors import CategoryUnknown, PercentageOutOfRange
from modules.catalog.domain.ports import Work
from modules.catalog.domain.views import CatalogQueries
from shared.domain.clock import Clock
from shared.domain.jobs import Job, Progress, Steps
from shared.domain.money import exponent
from shared.domain.work import Transact

CHANGE_PRICES: Final = "catalog.change_prices"
AT_ONCE: Final = 50
"""Products of one step: locked and changed well within a second."""

LEAST, MOST = Decimal(-95), Decimal(900)


class PriceChange(msgspec.Struct, frozen=True, kw_only=True):
    """All prices in `currency` by `percent`, a decimal number as text; of a category and all below it, or of every product."""

    currency: str
    percent: str
    category_id: str | None = None


class Repriced(Progress, frozen=True, kw_only=True):
    """`last_id` is the product that was looked at last, `left` counts the prices that could not be changed so."""

    last_id: str = ""
    left: int = 0
    more: bool = True


class Repricing:
    def __init__(self, transact: Transact[Work], queries: CatalogQueries, clock: Clock) -> None:
        self._transact = transact
        self._queries = queries
        self._clock = clock

    async def begin(self, change: PriceChange) -> Job:
        """One at a time in each currency. Raises UnknownCurrency, PercentageOutOfRange, CategoryUnknown, JobUnderway."""
        exponent(change.currency)
        factor(change.percent)
        if change.category_id is not None and await self._queries.category(change.category_id) is None:
            raise CategoryUnknown("there is no such category")
        return await self._transact(lambda work: work.begin_job(CHANGE_PRICES, change, unique=change.currency))

    async def run(self, change: PriceChange, steps: Steps[Work, Repriced]) -> str:
        """Archived products stay as they are, and so does a price that would break a rule; each is rounded once, half-even."""
        by = factor(change.percent)

        async def some(work: Work) -> Repriced:
            so_far = steps.progress
            total = so_far.total
            if total is None:
                total = await work.products.number(change.category_id)
            products = await work.products.next(so_far.last_id, change.category_id, AT_ONCE)
            left = so_far.left
            for product in products:
                events, unchanged = product.reprice(change.currency, by, self._clock.now())
                left += unchanged
                for event in events:
                    work.record(event, version=product.version)
            if products:
                await work.products.save(products[-1])
            done = so_far.done + len(products)
            return Repriced(
                done=done,
                total=max(total, done),
                message=f"{done} products looked at" + (f", {left} prices left as they were" if left else ""),
                last_id=products[-1].id if products else so_far.last_id,
                left=left,
                more=len(products) == AT_ONCE,
            )

        while steps.progress.more:
            await steps.step(some)
        return "/v1/products" if change.category_id is None else f"/v1/products?category={change.category_id}"


def factor(percent: str) -> Decimal:
    """What a price is multiplied with; raises PercentageOutOfRange."""
    value = Decimal(percent)
    if not LEAST <= value <= MOST:
        raise PercentageOutOfRange(f"prices are changed by {LEAST} to {MOST} percent")
    return 1 + value / 100
