"""How long it is remembered that a payment was called off before it was begun.

The key of a payment that was begun stays with it: by that key it is found, called off and given back.
"""

from datetime import timedelta
from typing import Final

from shared.infra.db.retention import Retention

KEEP: Final = timedelta(days=90)
"""Such a key keeps a late authorisation from happening: longer than the sagas that send one are kept."""

# authorization_key_intent_unique: those without an intent
_FORBIDDEN: Final = "select authorization_key_forget($1, $2)"

RETENTIONS: Final = (Retention("forbidden payments", KEEP, _FORBIDDEN),)
