"""E-mail addresses: what is one, and how it is written."""

from email_validator import EmailNotValidError, validate_email

from modules.identity.domain.errors import InvalidAddress
from modules.identity.domain.ports import Addresses


class EmailAddresses(Addresses):
    """By syntax alone: nothing is looked up, so that an answer costs the same for every domain."""

    def normalised(self, text: str) -> str:
        try:
            return validate_email(text, check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError:
            raise InvalidAddress("this is not an e-mail address") from None
