"""The exception tree of the client: one class per meaning.

::

    MaestroError
    ├── InvalidRequest            refused by us, nothing was sent
    ├── BudgetRefused             the caller's own gate held the call back, nothing was sent
    ├── TransportError            no complete answer
    │   ├── ConnectFailed         surely nothing was sent: name, address, connect
    │   │   └── TLSFailed         the certificate or the handshake was refused
    │   ├── RequestTimedOut       no byte within the read timeout
    │   ├── DeadlineExceeded      the whole call took longer than its wall clock allows
    │   └── ConnectionLost        reset or closed after sending began
    ├── ResponseError             a complete answer that is not a success
    │   ├── BadRequest            400, 422
    │   ├── Unauthorized          401
    │   ├── Forbidden             403
    │   ├── NotFound              404
    │   ├── Conflict              409
    │   ├── RateLimited           429, or a limit code with any 4xx
    │   ├── ServerError           5xx
    │   ├── RedirectRefused       3xx, never followed
    │   └── UnexpectedStatus      anything else
    ├── UnreadableResponse        a success that cannot be used: wrong type, half, unparsable, without the needed id
    │   └── ResponseTooLarge      a size or ratio cap was reached
    ├── PagingLoop                the account list repeats a page token, or never ends
    └── OAuthError                the token endpoint refused
        ├── InvalidGrant          code, refresh token or assertion is not valid any more
        └── ConsentRequired       the user has not consented yet; carries the address to go to

The one rule: an error carries what support needs (operation, ids, status, request id, attempts) and never a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from maestro_api.limits import Window


@dataclass(frozen=True, slots=True)
class FieldError:
    """One entry of a problem's `errors` list; `target` can be matched to a form field."""

    target: str | None
    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a failed call. All optional, so that every layer adds what it knows."""

    status: int | None = None
    request_id: str = ""
    attempts: int = 0
    retry_after: float | None = None
    code: str | None = None
    detail: str = ""
    field_errors: tuple[FieldError, ...] = ()
    may_have_happened: bool = False


class MaestroError(Exception):
    """Base of everything that the client raises.

    `may_have_happened` is True when a write may have been processed although no good answer came: then the caller
    must look before sending again. `retry_after` is in seconds.
    """

    sentence: ClassVar[str] = "Docusign could not do that."

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "",
        ids: Mapping[str, str] | None = None,
        facts: Facts | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.ids: dict[str, str] = dict(ids or {})
        self.facts = facts or Facts()

    @property
    def status(self) -> int | None:
        return self.facts.status

    @property
    def request_id(self) -> str:
        return self.facts.request_id

    @property
    def attempts(self) -> int:
        return self.facts.attempts

    @property
    def retry_after(self) -> float | None:
        return self.facts.retry_after

    @property
    def code(self) -> str | None:
        return self.facts.code

    @property
    def detail(self) -> str:
        """What Docusign said, as plain text, capped. It may quote user data: show it, do not log it."""
        return self.facts.detail

    @property
    def field_errors(self) -> tuple[FieldError, ...]:
        return self.facts.field_errors

    @property
    def may_have_happened(self) -> bool:
        return self.facts.may_have_happened

    @property
    def user_message(self) -> str:
        """One sentence fit for the person at the screen."""
        return self.sentence

    def __str__(self) -> str:
        known = [self.operation or "call", type(self).__name__]
        if self.status is not None:
            known.append(f"status {self.status}")
        if self.code:
            known.append(f"code {self.code}")
        if self.request_id:
            known.append(f"request id {self.request_id}")
        if self.attempts > 1:
            known.append(f"{self.attempts} attempts")
        head = ", ".join(known)
        return f"{head}: {self.message}" if self.message else head


class InvalidRequest(MaestroError):
    """Refused before sending: a bad id, filter, header or token."""

    sentence = "The request was not sent, because part of it is not valid."


class BudgetRefused(MaestroError):
    """The `gate` that the caller gave let no call through; a gate raises this or a subclass of its own.

    Nothing was sent by this attempt, and an attempt before it is repeated only when it surely had no effect; so
    `may_have_happened` is False. `retry_after` may say when the gate opens.
    """

    sentence = "The call was held back, so nothing was sent."


class TransportError(MaestroError):
    """No complete answer arrived."""

    sentence = "Docusign could not be reached."


class ConnectFailed(TransportError):
    """The connection was never made, so nothing was sent."""


class TLSFailed(ConnectFailed):
    """The secure connection was refused: bad certificate, wrong host, old protocol."""

    sentence = "The secure connection to Docusign could not be verified, so nothing was sent."


class RequestTimedOut(TransportError):
    """Docusign accepted the connection and then stayed silent."""

    sentence = "Docusign did not answer in time."


class DeadlineExceeded(TransportError):
    """The whole call, retries included, took longer than allowed."""

    sentence = "Docusign did not answer in time."


class ConnectionLost(TransportError):
    """The connection broke after sending began."""

    sentence = "The connection to Docusign broke before the answer was complete."


class ResponseError(MaestroError):
    """Docusign answered, and the answer is not a success."""


class BadRequest(ResponseError):
    """400 or 422: inputs missing or wrong, or a state that forbids the call."""

    sentence = "Docusign did not accept the values that were sent."


class Unauthorized(ResponseError):
    """401: the token is expired, revoked, or belongs to another environment."""

    sentence = "Docusign no longer accepts the sign-in; connect again."


class Forbidden(ResponseError):
    """403: the user may not, or the feature is not enabled for the account."""

    sentence = "Docusign does not allow this for your user or account."


class NotFound(ResponseError):
    """404: it does not exist, or the user may not see it."""

    sentence = "Docusign does not know this, or does not show it to your user."


class Conflict(ResponseError):
    """409: the present state does not allow it. Read the state; it may already be reached."""

    sentence = "Docusign refused, because the present state does not allow it."


class RateLimited(ResponseError):
    """Too many calls. `retry_after` is always set; `window` says which quota is used up, where known."""

    sentence = "The account has used up its calls to Docusign for now."

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "",
        ids: Mapping[str, str] | None = None,
        facts: Facts | None = None,
        window: Window | None = None,
    ) -> None:
        super().__init__(message, operation=operation, ids=ids, facts=facts)
        self.window = window


class ServerError(ResponseError):
    """5xx: for a write, whether it happened is not known."""

    sentence = "Docusign has a problem of its own right now."


class RedirectRefused(ResponseError):
    """3xx: the API never redirects, so the answer is not trusted."""

    sentence = "Docusign answered with a redirect, which is never followed."


class UnexpectedStatus(ResponseError):
    """Any other status, such as 444 from a web firewall."""

    sentence = "Docusign gave an answer that is not understood."


class UnreadableResponse(MaestroError):
    """A success status whose body cannot be used."""

    sentence = "Docusign's answer could not be read."


class ResponseTooLarge(UnreadableResponse):
    """The answer passed a size cap and reading was stopped."""

    sentence = "Docusign's answer is too large to be read."


class PagingLoop(MaestroError):
    """The account list repeated a page token or passed the page cap."""

    sentence = "Docusign's list did not come to an end."


class OAuthError(MaestroError):
    """The token endpoint refused; `code` is its error name."""

    sentence = "Docusign refused the sign-in."


class InvalidGrant(OAuthError):
    """The code, refresh token or assertion is not valid (any more)."""

    sentence = "The connection to Docusign has ended; connect again."


class ConsentRequired(OAuthError):
    """The user has not consented to these scopes; send them to `consent_url`."""

    sentence = "Docusign needs your consent first."

    def __init__(
        self,
        message: str = "",
        *,
        consent_url: str,
        operation: str = "",
        ids: Mapping[str, str] | None = None,
        facts: Facts | None = None,
    ) -> None:
        super().__init__(message, operation=operation, ids=ids, facts=facts)
        self.consent_url = consent_url
