"""Refusals of carts and orders."""

from shared.domain.errors import Conflict, Declined, RuleViolated


class CartNotOpen(Conflict):
    """The cart is being completed, or has become an order; it cannot be changed any more."""

    code = "cart_not_open"
    title = "The cart is not open"


class CartMoved(Conflict):
    """The cart was changed by another request at the same moment; send yours again."""

    code = "cart_moved"
    title = "The cart has just changed"
    retryable = True


class CompletionInProgress(Conflict):
    """The cart is being completed by another request; ask again in a moment. The fact `operation_id` says what to follow, also
    where the answer with it was lost."""

    code = "in_progress"
    title = "Completion in progress"
    retryable = True


class PriceChanged(Conflict):
    """The total is not the one that was expected. The fact `total` is the present one; show it, and ask again."""

    code = "price_changed"
    title = "The price has changed"


class CartIncomplete(RuleViolated):
    """Something still blocks completion; the fact `requirements` lists all of it."""

    code = "cart_incomplete"
    title = "The cart is not ready"


class AttemptsUsedUp(RuleViolated):
    """This cart could not be completed 50 times, which is enough of it: begin another one."""

    code = "cart_attempts_used_up"
    title = "The cart was attempted too often"


class NotSellable(RuleViolated):
    """This variant cannot be bought: it is unknown, not published, or has no price in the cart's currency."""

    code = "variant_not_sellable"
    title = "Not for sale"


class CartFull(RuleViolated):
    """A cart holds at most 100 different variants, and at most 999 of each."""

    code = "cart_full"
    title = "The cart is full"


class InsufficientStock(Conflict):
    """There is not enough of something; the fact `lines` names what is available of each."""

    code = "insufficient_stock"
    title = "Not enough in stock"


class CompletionFailed(Conflict):
    """The cart could not be completed in time; everything was given back and it is open again. The fact `cause` is a code."""

    code = "completion_failed"
    title = "The cart could not be completed"


class PaymentDeclined(Declined):
    """The payment method was declined: stock has been released and the cart is open for another one."""

    code = "payment_declined"
