"""Who may see which notifications went out."""

from shared.domain.policy import STAFF, Policy, roles

POLICY: Policy = {"listNotifications": roles(*sorted(STAFF))}
