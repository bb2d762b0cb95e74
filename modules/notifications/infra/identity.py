"""Identity, in our words."""

from modules.identity.public import AlreadyVerified, Identity
from modules.notifications.domain.ports import Addressee
from shared.domain.errors import NotFound


class IdentityAdapter:
    """Implements People."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def addressee(self, user_id: str) -> Addressee | None:
        for contact in await self._identity.contacts([user_id]):
            return Addressee(recipient=contact.user_id, email=contact.email, name=contact.name, locale=contact.locale)
        return None

    async def verification_link(self, user_id: str, key: str) -> str | None:
        try:
            return await self._identity.verification_link(user_id, key)
        except (NotFound, AlreadyVerified):
            return None
