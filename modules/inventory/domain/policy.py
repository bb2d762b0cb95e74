"""Who may do what with the stock: staff looks, managers move. What customers see of it, the catalog and the cart tell."""

from shared.domain.policy import STAFF, Policy, roles

POLICY: Policy = {
    "listStockLocations": roles(*STAFF),
    "getStockLocation": roles(*STAFF),
    "createStockLocation": roles("manager", "admin"),
    "updateStockLocation": roles("manager", "admin"),
    "listStockLevels": roles(*STAFF),
    "listStockMovements": roles(*STAFF),
    "createStockMovement": roles("manager", "admin"),
    "createReservation": roles(*STAFF),
    "getReservation": roles(*STAFF),
    "extendReservation": roles(*STAFF),
    "releaseReservation": roles(*STAFF),
}
