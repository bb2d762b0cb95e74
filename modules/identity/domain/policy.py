"""Who may call what in identity."""

from shared.domain.policy import Policy, anyone_logged_in, public, roles

POLICY: Policy = {
    "registerUser": public(),
    "logIn": public(),
    "refreshTokens": public(),
    "logOut": public(),
    "lookAtLink": public(),
    "verifyAddress": public(),
    "getKeySet": public(),
    "getMe": anyone_logged_in(),
    "listUsers": roles("support", "manager", "admin"),
    "getUser": roles("support", "manager", "admin"),
    "setUserRoles": roles("admin"),
}
