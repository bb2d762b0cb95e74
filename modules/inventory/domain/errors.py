"""Refusals of the inventory."""

from shared.domain.errors import Conflict, RuleViolated


class HoldInvalid(RuleViolated):
    """A reservation has 1 to 100 different SKUs, at least one piece of each, and lasts 1 second to 24 hours."""

    code = "hold_invalid"
    title = "The reservation is not valid"


class MovementInvalid(RuleViolated):
    """The movement's kind does not fit what it carries: its quantity, its target location or its reservation."""

    code = "movement_invalid"
    title = "The movement is not valid"


class LocationUnknown(RuleViolated):
    """The request names a stock location that does not exist."""

    code = "location_unknown"
    title = "Unknown stock location"


class LocationNameTaken(Conflict):
    """Another stock location has this name already."""

    code = "location_name_taken"
    title = "The name is taken"
