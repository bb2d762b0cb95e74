"""The process that is killed: begins one purchase and runs it, with every statement and call a crash point."""

from collections.abc import Mapping
from typing import Any

from shared.infra.saga.engine import Timing
from tests.chassis.saga.shop import Shop
from tests.faults.crashpoints import Points, serve


async def buy(points: Points, arguments: Mapping[str, Any]) -> None:
    timing = Timing(claim=arguments["claim"], reserve=arguments["claim"] / 4, first_retry=0.0)
    async with Shop(
        arguments["url"], points=points, script=arguments["script"], refuses=frozenset(arguments["refuses"]), timing=timing
    ) as shop:
        await shop.buy(arguments["purchase"])


if __name__ == "__main__":
    serve(buy)
