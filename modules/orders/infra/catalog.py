"""The catalogue, in our words."""

from collections.abc import Mapping, Sequence

from modules.catalog.public import Catalog
from modules.orders.domain.totals import Offer


class CatalogAdapter:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def offers(self, variant_ids: Sequence[str], currency: str) -> Mapping[str, Offer]:
        if not variant_ids:
            return {}
        answers = await self._catalog.offers(variant_ids, currency)
        return {
            offer.variant_id: Offer(offer.variant_id, offer.product_id, offer.sku, offer.title, offer.price, offer.sellable)
            for offer in answers
        }
