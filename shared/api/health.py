"""Is the process alive, has it started, may it be sent requests? Redis gone degrades; Postgres gone, or stopping, refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import structlog
from litestar import Controller
from litestar.di import NamedDependency

from shared.api.answers import Reply, ok
from shared.api.refusals import NotReady
from shared.api.routes import get
from shared.domain.policy import Policy, public

PROBE_SECONDS: Final = 2.0

_log = structlog.get_logger("tenon.health")


class Health(msgspec.Struct, frozen=True):
    """`degraded` still serves: something that is not essential is missing."""

    status: Literal["alive", "started", "ready", "degraded"]
    checks: dict[str, Literal["passing", "failing"]]


@dataclass(frozen=True, slots=True)
class Check:
    """`probe` raises when what it looks at is gone. Without an essential one the process is not ready."""

    name: str
    probe: Callable[[], Awaitable[object]]
    essential: bool = True


class Lifecycle:
    """Where the process stands. The entrypoint calls `stopping` at the signal, before anything is closed."""

    def __init__(self) -> None:
        self.stage: Literal["starting", "running", "stopping"] = "starting"

    def running(self) -> None:
        if self.stage == "starting":  # a signal may have come first
            self.stage = "running"

    def stopping(self) -> None:
        self.stage = "stopping"


class HealthService:
    def __init__(self, lifecycle: Lifecycle, checks: Sequence[Check]) -> None:
        self._lifecycle = lifecycle
        self._checks = checks

    def startup(self) -> Health:
        if self._lifecycle.stage == "starting":
            raise NotReady("still starting")
        return Health("started", {})

    async def readiness(self) -> Health:
        if self._lifecycle.stage != "running":
            raise NotReady(f"the process is {self._lifecycle.stage}")
        passing = await asyncio.gather(*(self._passes(check) for check in self._checks))
        results: dict[str, Literal["passing", "failing"]] = {
            check.name: "passing" if passes else "failing" for check, passes in zip(self._checks, passing, strict=True)
        }
        if not all(passes for check, passes in zip(self._checks, passing, strict=True) if check.essential):
            raise NotReady("something essential is missing", checks=results)
        return Health("ready" if all(passing) else "degraded", results)

    async def _passes(self, check: Check) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await check.probe()
        except Exception as error:  # noqa: BLE001 - whatever a probe raises is its answer
            _log.warning("check_failing", check=check.name, error=error)
            return False
        return True


class HealthRoutes(Controller):
    path = "/health"
    tags = ("operations",)

    @get("/live", operation="readLiveness", rate=None)
    async def live(self) -> Reply[Health]:
        """Whether the process answers at all."""
        return ok(Health("alive", {}))

    @get("/startup", operation="readStartup", errors=[NotReady], rate=None)
    async def startup(self, health: NamedDependency[HealthService]) -> Reply[Health]:
        """Whether the process has started."""
        return ok(health.startup())

    @get("/ready", operation="readReadiness", errors=[NotReady], rate=None)
    async def ready(self, health: NamedDependency[HealthService]) -> Reply[Health]:
        """Whether the process may be sent requests."""
        return ok(await health.readiness())


POLICY: Final[Policy] = {"readLiveness": public(), "readStartup": public(), "readReadiness": public()}
