"""The facade of payments with less to type, and what a test looks at."""

from typing import Any

from modules.payments.container import PaymentsContainer
from modules.payments.public import Authorization, PaymentPending
from shared.domain.money import Money
from shared.infra.db.connections import Connection

AMOUNT = Money(1000, "USD")


class Till:
    def __init__(self, container: PaymentsContainer, admin: Connection) -> None:
        self.facade = container.facade()
        self.container = container
        self.admin = admin

    async def authorize(self, card: str = "pm_card_ok", key: str = "k") -> Authorization:
        answer: Authorization = await self.facade.authorize(key, "ord_1", AMOUNT, card)
        return answer

    async def insist(self, card: str, key: str = "k", tries: int = 5) -> Authorization:
        """Repeat with the same key while it is pending."""
        for _ in range(tries):
            try:
                return await self.authorize(card, key)
            except PaymentPending:
                continue
        raise AssertionError("still pending")

    async def captured(self, card: str = "pm_card_ok") -> str:
        """The id of a payment that is captured in full."""
        intent_id = (await self.authorize(card)).intent_id
        await self.facade.capture("c", intent_id, AMOUNT)
        return intent_id

    async def count(self, query: str) -> Any:
        return await self.admin.fetchval(query)

    async def events(self) -> list[str]:
        return [row["type"].removeprefix("payments.") for row in await self.admin.fetch("select type from event order by id")]

    async def balances(self) -> dict[str, int]:
        trial = await self.container.ledger().trial_balance()
        assert trial.balanced
        return {account.account: account.balance.amount for account in trial.accounts}
