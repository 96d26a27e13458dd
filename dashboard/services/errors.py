"""What services raise. Its one rule: every message is a sentence fit for the person who reads the screen."""

from datetime import datetime
from typing import Any


class ServiceError(Exception):
    """Base of all refusals and failures that a person can be told about."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(ServiceError):
    """A rule or the present state forbids it; nothing was sent. `field` names the input at fault, if one is."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NeedsSecondPerson(Refused):
    """A policy asks for somebody else's approval first; nothing was sent. `policy` is the strictest that fits."""

    def __init__(self, message: str, *, policy: Any) -> None:
        super().__init__(message)
        self.policy = policy


class NotStarted(ServiceError):
    """A list was let go, and that stays; it could not start, and nothing was sent. The message says both."""


class NotAllowed(ServiceError):
    """The person lacks a right for `action`."""

    def __init__(self, message: str, *, action: str) -> None:
        super().__init__(message)
        self.action = action


class SignInRefused(ServiceError):
    """The sign-in ended without a session; nothing about the person was kept."""


class ReconnectNeeded(ServiceError):
    """The grant at Docusign is gone or refused; only the person can renew it."""


class DocusignUnavailable(ServiceError):
    """Docusign did not answer, or asked us to wait until `retry_at`; nothing was changed."""

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class StoreBusy(ServiceError):
    """This console's own database takes no writes; nothing was sent or changed."""


class TooMany(ServiceError):
    """Somebody does a thing too often; nothing was done. After `retry_seconds` it is taken again."""

    def __init__(self, message: str, *, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Drifted(ServiceError):
    """The workflow asks for other inputs than the form did; `contract` is the present one, `changes` are sentences."""

    def __init__(self, message: str, *, contract: Any, changes: list[str]) -> None:
        super().__init__(message)
        self.contract = contract
        self.changes = changes
