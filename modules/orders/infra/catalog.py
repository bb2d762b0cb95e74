"""The catalogue, in our words."""

from collections.abc import Mapping

from modules.catalog.public import Catalog
from modules.orders.domain.totals import Offer


class CatalogAdapter:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def offers(self, wanted: Mapping[str, int], currency: str) -> Mapping[str, Offer]:
        if not wanted:
            return {}
        answers = await self._catalog.offers(list(wanted), currency, wanted)
        return {
            offer.variant_id: Offer(offer.variant_id, offer.product_id, offer.sku, offer.title, offer.price, offer.sellable)
            for offer in answers
        }
