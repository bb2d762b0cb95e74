"""Are the books in balance? Asked by whoever looks at the health of the process, however often."""

from time import monotonic
from typing import Final

from modules.payments.domain.views import LedgerQueries

GOOD_FOR_S: Final = 30.0


class OutOfBalance(Exception):
    """Debit and credit differ: somebody has written to the books past their rules."""


class BalanceCheck:
    """A balance that was found true is not computed again for half a minute."""

    def __init__(self, ledger: LedgerQueries) -> None:
        self._ledger = ledger
        self._good_until = 0.0

    async def __call__(self) -> None:
        if monotonic() < self._good_until:
            return
        trial = await self._ledger.trial_balance()
        if not trial.balanced:
            raise OutOfBalance(
                "; ".join(f"debit {total.debit}, credit {total.credit}" for total in trial.totals if total.debit != total.credit)
            )
        self._good_until = monotonic() + GOOD_FOR_S
