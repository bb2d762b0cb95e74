"""Many prices at once, over HTTP."""

from typing import Any

from litestar import Controller, Request
from litestar.di import NamedDependency

from modules.catalog.api.schemas import ChangePrices
from modules.catalog.domain.errors import CategoryUnknown, PercentageOutOfRange
from modules.catalog.domain.repricing import PriceChange, Repricing
from shared.api.answers import Reply
from shared.api.idempotency import once
from shared.api.jobs import begun
from shared.api.routes import post
from shared.domain.jobs import Job, JobUnderway
from shared.domain.money import UnknownCurrency


class PriceChanges(Controller):
    path = "/v1/price_changes"
    tags = ("catalog",)

    @post(operation="changePrices", errors=[UnknownCurrency, CategoryUnknown, PercentageOutOfRange, JobUnderway], status=202)
    async def change(self, data: ChangePrices, request: Request[Any, Any, Any], repricing: NamedDependency[Repricing]) -> Reply[Job]:
        """Raise or lower all prices in one currency, sales included, by a job that can be followed and cancelled.

        Each price is changed once and rounded once, half-even. What a cancelled job has changed stays so.
        """
        change = PriceChange(currency=data.currency, percent=data.percent, category_id=data.category_id)
        return await once(request, repricing.begin(change), begun)
