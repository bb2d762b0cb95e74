"""Who may do what with the catalog."""

from shared.domain.context import Principal
from shared.domain.policy import STAFF, Policy, public, roles

POLICY: Policy = {
    "listProducts": public(),
    "searchProducts": public(),
    "getProduct": public(),
    "getVariant": public(),
    "getPrice": public(),
    "createProduct": roles("manager", "admin"),
    "updateProduct": roles("manager", "admin"),
    "publishProduct": roles("manager", "admin"),
    "archiveProduct": roles("manager", "admin"),
    "createVariant": roles("manager", "admin"),
    "updateVariant": roles("manager", "admin"),
    "setPrice": roles("manager", "admin"),
    "changePrices": roles("manager", "admin"),
    "listCategories": public(),
    "getCategory": public(),
    "createCategory": roles("manager", "admin"),
    "updateCategory": roles("manager", "admin"),
}


def sees_drafts(principal: Principal) -> bool:
    """Staff sees every product, others the published ones."""
    return bool(principal.roles & STAFF)
