"""Who may call what of payments. Customers pay by completing their carts; what is here is for staff."""

from shared.domain.policy import Policy, public, roles

_STAFF = roles("support", "manager", "admin")
_MANAGERS = roles("manager", "admin")

POLICY: Policy = {
    "createPaymentIntent": _MANAGERS,
    "listPaymentIntents": _STAFF,
    "getPaymentIntent": _STAFF,
    "confirmPaymentIntent": _MANAGERS,
    "capturePaymentIntent": _MANAGERS,
    "cancelPaymentIntent": _MANAGERS,
    "createRefund": _MANAGERS,
    "listRefunds": _STAFF,
    "getRefund": _STAFF,
    "listLedgerAccounts": _MANAGERS,
    "listLedgerTransactions": _MANAGERS,
    "getTrialBalance": _MANAGERS,
    "receiveTestProviderWebhook": public(),
    "completeTestProviderChallenge": public(),
}
