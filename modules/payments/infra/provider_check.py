"""Does anybody really pay? Asked by whoever looks at the health of the process."""


class NoRealMoney(Exception):
    """Whoever knows the names of its cards buys for nothing."""


class ProviderCheck:
    """The built-in test provider is for everything but production."""

    def __init__(self, *, production: bool) -> None:
        self._production = production

    async def __call__(self) -> None:
        if self._production:
            raise NoRealMoney("the test provider takes no real money: orders are not paid for in production")
