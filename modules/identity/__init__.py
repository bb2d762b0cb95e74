"""Identity: who somebody is, how they prove it, and what they may do.

Owns: users and their roles, passwords, mailed links, refresh tokens, the signing key's public half.
Publishes: identity.user_registered, identity.registration_repeated, identity.user_verified, identity.roles_changed, identity.token_reused
Listens: nothing
Calls: nothing

An access token lives 15 minutes and is believed until then: a log-out or a change of roles takes effect at the next
refresh. Routes about roles and users ask the source instead of the token.
"""
