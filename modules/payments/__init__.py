"""Taking money and giving it back: intents, attempts at the provider, refunds, and the books.

Owns: payment intents, provider attempts, refunds, the double-entry ledger; the built-in test provider.
Publishes: payments.payment_authorized, payments.payment_captured, payments.payment_failed, payments.payment_requires_action,
  payments.payment_cancelled, payments.refund_succeeded, payments.refund_failed
Listens: nothing
Calls: the payment provider
"""
