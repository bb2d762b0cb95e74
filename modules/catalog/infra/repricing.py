"""The job that changes many prices, as the chassis runs it."""

from modules.catalog.domain.repricing import CHANGE_PRICES, PriceChange, Repriced, Repricing
from shared.infra.tasks.kind import JobKind


def changing_prices(repricing: Repricing) -> JobKind[PriceChange, Repriced]:
    return JobKind(CHANGE_PRICES, PriceChange, Repriced, repricing.run)
