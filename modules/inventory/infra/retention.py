"""How long holds are kept that hold nothing any more. What is held, or allocated to an order, stays."""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

KEEP: Final = timedelta(days=90)
"""A released hold keeps a late command with its key from holding again: longer than the sagas that send such commands are kept."""

# reservation_over
_RESERVATIONS: Final = "select reservation_forget($1, $2)"

RETENTIONS: Final = (Retention("ended reservations", KEEP, _RESERVATIONS),)
