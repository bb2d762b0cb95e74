"""What can go wrong in the business, each with a stable code. HTTP numbers are given by shared/api/problems.py."""

from typing import ClassVar


class DomainError(Exception):
    """The root of all refusals. A subclass's docstring is the text of its public page, `/problems/<code>`.

    `facts` become extra members of the problem document; they are public.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "The request was refused"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, /, **facts: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class NotFound(DomainError):
    """No such resource, or it is not yours: the two are not told apart."""

    code = "not_found"
    title = "Not found"


class Conflict(DomainError):
    """The resource is in a state that does not allow this now."""

    code = "conflict"
    title = "Conflict"


class IllegalTransition(Conflict):
    """What it is about is in a state from which this step does not lead anywhere; the state machines are tables."""

    code = "illegal_transition"
    title = "The state does not allow this step"


class RuleViolated(DomainError):
    """The request is well-formed and breaks a rule of the business."""

    code = "rule_violated"
    title = "A rule was violated"


class Declined(DomainError):
    """The payment was declined; another payment method may be tried."""

    code = "declined"
    title = "Payment declined"


class Unauthenticated(DomainError):
    """No credential was sent, or it is not valid (any more)."""

    code = "unauthenticated"
    title = "Authentication is needed"


class Forbidden(DomainError):
    """The caller is known and may not do this."""

    code = "forbidden"
    title = "Not allowed"


class StaleVersion(DomainError):
    """The resource has changed since the version named by If-Match; read it again."""

    code = "stale_version"
    title = "The resource has changed"


class PreconditionMissing(DomainError):
    """The request needs a header that it does not carry: If-Match or Idempotency-Key."""

    code = "precondition_required"
    title = "A precondition is missing"


class TooManyAttempts(DomainError):
    """Too many attempts; wait as long as Retry-After says. The fact `retry_after` is in seconds."""

    code = "too_many_attempts"
    title = "Too many attempts"
    retryable = True


class Unavailable(DomainError):
    """The service cannot answer right now; the same request may be sent again. The fact `retry_after` is in seconds."""

    code = "unavailable"
    title = "Temporarily unavailable"
    retryable = True


class Busy(Unavailable):
    """Every place for this kind of work is taken at the moment."""

    code = "busy"
    title = "Busy"


class CommitOutcomeUnknown(Unavailable):
    """The database was lost while it committed and did not say how it ended: look before you send it again."""

    code = "commit_outcome_unknown"
    title = "The outcome is not known"
