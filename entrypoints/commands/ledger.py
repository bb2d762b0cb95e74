"""`tenon ledger`: whether the kept balances are what the postings add up to, and how they become so again."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import click

from entrypoints.commands import columns
from entrypoints.commands.deliveries import Composed
from entrypoints.container import Root
from modules.payments.domain.views import BalanceDifference


@click.group()
def ledger() -> None:
    """The books of payments."""


@ledger.command()
@click.pass_obj
def check(composed: Composed) -> None:
    """Compare the kept balances with all postings; exits 1 when any differs."""
    found = _asked(composed, lambda root: root.payments.ledger().differences())
    _show(found, none="Every kept balance is the sum of its postings.")
    sys.exit(bool(found))


@ledger.command()
@click.pass_obj
def rebuild(composed: Composed) -> None:
    """Make the kept balances the sums of their postings. Safe to repeat."""
    found = _asked(composed, lambda root: root.payments.transact()(lambda work: work.ledger.rebuild()))
    _show(found, none="Every kept balance was the sum of its postings.")


def _asked(composed: Composed, ask: Callable[[Root], Awaitable[list[BalanceDifference]]]) -> list[BalanceDifference]:
    async def run() -> list[BalanceDifference]:
        root = composed()
        try:
            return await ask(root)
        finally:
            await root.shared.connections().close()

    return asyncio.run(run())


def _show(found: list[BalanceDifference], none: str) -> None:
    columns.show(
        ("account", "currency", "debit kept", "posted", "credit kept", "posted"),
        [(row.account, row.currency, *map(str, (row.debit, row.posted_debit, row.credit, row.posted_credit))) for row in found],
        none=none,
    )
