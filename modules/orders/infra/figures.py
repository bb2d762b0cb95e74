"""What of orders the business counts."""

from typing import Final

from modules.orders.public import OrderCancelled, OrderPaid, OrderPlaced
from shared.infra.metrics.figures import Figure

FIGURES: Final = (
    Figure("orders_placed", "Orders that were agreed.", OrderPlaced, by="currency"),
    Figure("orders_paid", "Orders whose whole amount was captured.", OrderPaid, by="currency"),
    Figure("orders_cancelled", "Orders that were called off.", OrderCancelled, by="cause"),
)
