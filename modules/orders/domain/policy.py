"""Who may do what with carts and orders. Whose they are is decided in the queries."""

from shared.domain.policy import Policy, anyone_logged_in, public, shopper

POLICY: Policy = {
    "createCart": public(),
    "getCart": shopper(),
    "updateCart": shopper(),
    "addCartItem": shopper(),
    "updateCartItem": shopper(),
    "removeCartItem": shopper(),
    "claimCart": anyone_logged_in(),
    "completeCart": shopper(),
    "listOrders": anyone_logged_in(),
    "getOrder": shopper(),
    "listTimelineEntries": shopper(),
    "cancelOrder": shopper(),
}
