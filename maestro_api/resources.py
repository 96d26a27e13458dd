"""What the API returns: frozen and typed, with everything that came kept raw beside it.

The one rule: values here are already normal (ids lower-case without braces, times aware in UTC, "" as None, states known or
UNKNOWN); what Docusign really wrote stays in `raw` and `raw_status`. Links that act as credentials never show in a repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload
from urllib.parse import urlsplit

import msgspec

from maestro_api.limits import NO_LIMITS, LimitState
from maestro_api.rows import NOTHING, InstanceRow, normal_id, utc
from maestro_api.statuses import InstanceStatus, WorkflowStatus, instance_status

JSON: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any] | None
Kind = Literal["string", "number", "boolean", "date", "datetime", "object", "array", "unknown"]
T = TypeVar("T")


def decode_object(raw: msgspec.Raw) -> dict[str, Any]:
    """The JSON object in `raw`, or an empty one when it is absent, null or something else."""
    if not raw:
        return {}
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Response:
    """How the answer came: for logs, support and budgets. `bytes` counts the decoded body.

    `headers` is looked up without regard to case; Set-Cookie is never in it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str
    elapsed_ms: float
    attempts: int
    bytes: int
    limits: LimitState = NO_LIMITS


class Workflow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of operation GetWorkflowsList. Everything but the id may be missing."""

    id: str
    name: str
    account_id: str | None
    status: WorkflowStatus
    raw_status: str
    created_at: datetime | None
    created_by: str | None
    modified_at: datetime | None
    modified_by: str | None
    source: msgspec.Raw = NOTHING

    @property
    def raw(self) -> dict[str, Any]:
        return decode_object(self.source)

    def __repr__(self) -> str:
        return f"Workflow(id={self.id!r}, status={self.status.value!r})"


class Instance(msgspec.Struct, frozen=True, gc=False):
    """One instance, from operations getWorkflowInstancesList, getWorkflowInstance or the account-level list.

    `workflow_id` is Docusign's `template_id`. Never infer the state from the times: the published example contradicts
    itself. Everything but the id may be missing. The row is checked when it arrives and made normal only when it is
    looked at, so that a list of thousands costs no more than parsing it.
    """

    id: str
    row: InstanceRow
    source: msgspec.Raw = NOTHING
    oddities: tuple[str, ...] = ()
    response: Response | None = None

    @property
    def name(self) -> str:
        return self.row.name or self.row.instance_name or ""

    @property
    def workflow_id(self) -> str | None:
        return normal_id(self.row.template_id or self.row.workflow_definition_id or self.row.workflow_id)

    @property
    def account_id(self) -> str | None:
        return normal_id(self.row.account_id)

    @property
    def raw_status(self) -> str:
        return self.row.workflow_status or self.row.status or ""

    @property
    def status(self) -> InstanceStatus:
        return instance_status(self.raw_status)

    @property
    def started_at(self) -> datetime | None:
        return utc(self.row.started_at)

    @property
    def started_by(self) -> str | None:
        return normal_id(self.row.started_by)

    @property
    def started_by_name(self) -> str | None:
        return self.row.started_by_name or None

    @property
    def started_by_role(self) -> str | None:
        return self.row.started_by_role or None

    @property
    def last_modified_at(self) -> datetime | None:
        return utc(self.row.last_modified_at)

    @property
    def ended_at(self) -> datetime | None:
        return utc(self.row.ended_at)

    @property
    def canceled_at(self) -> datetime | None:
        return utc(self.row.canceled_at)

    @property
    def canceled_by(self) -> str | None:
        return normal_id(self.row.canceled_by)

    @property
    def expires_at(self) -> datetime | None:
        return utc(self.row.expires_at)

    @property
    def total_steps(self) -> int | None:
        return self.row.total_steps

    @property
    def last_completed_step(self) -> int | None:
        return self.row.last_completed_step

    @property
    def last_completed_step_name(self) -> str | None:
        return self.row.last_completed_step_name or None

    @property
    def tags(self) -> tuple[str, ...]:
        return self.row.tags or ()

    @property
    def trigger_inputs(self) -> dict[str, Any]:
        """The inputs as Docusign reads them back, system values included; decoded at each access."""
        return decode_object(self.row.trigger_inputs or self.row.trigger_input)

    @property
    def metadata(self) -> dict[str, Any]:
        return decode_object(self.row.metadata)

    @property
    def raw(self) -> dict[str, Any]:
        """Everything that came, unknown members included; decoded at each access."""
        return decode_object(self.source)

    def __repr__(self) -> str:
        return f"Instance(id={self.id!r}, status={self.status.value!r})"


@dataclass(frozen=True, slots=True)
class InputField:
    """One input of a workflow. `default` is meaningful only when `has_default`; there is no required flag in the API."""

    name: str
    data_type: str
    kind: Kind
    default: JSON
    has_default: bool
    is_system: bool


@dataclass(frozen=True, slots=True)
class TriggerRequirements:
    """What a workflow wants to be triggered with (operation GetWorkflowTriggerRequirements).

    `url` may carry credentials and is never called; it is only compared, see `differs_from`.
    """

    trigger_id: str | None
    event_type: str | None
    method: str | None
    url: str | None = field(repr=False)
    fields: tuple[InputField, ...]
    oddities: tuple[str, ...]
    created_at: datetime | None
    created_by: str | None
    modified_at: datetime | None
    modified_by: str | None
    response: Response
    source: msgspec.Raw = field(default_factory=msgspec.Raw, repr=False)

    @property
    def raw(self) -> dict[str, Any]:
        return decode_object(self.source)

    def differs_from(self, expected_url: str) -> tuple[str, ...]:
        """Plain sentences about how the stated way to trigger differs from ours; empty when it does not.

        The stated query is never quoted: old trigger addresses carry a secret there.
        """
        found: list[str] = []
        if self.method is not None and self.method.upper() != "POST":
            found.append(f"Docusign states the method {self.method[:16]}, not POST.")
        if not self.url:
            found.append("Docusign states no trigger address; the workflow may not be startable by API.")
            return tuple(found)
        try:
            stated = urlsplit(self.url)
            origin = (stated.scheme.lower(), stated.netloc.lower())
        except ValueError:
            return (*found, "The stated trigger address cannot be read.")
        expected = urlsplit(expected_url)
        if origin != (expected.scheme, expected.netloc.lower()):
            host = (stated.netloc.rpartition("@")[2] or "none")[:255]
            found.append(f"Docusign states another host: {host}.")
        if stated.path.rstrip("/").lower() != expected.path.rstrip("/").lower():
            found.append("Docusign states another path or id to trigger.")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Triggered:
    """A started instance. `instance_url` acts like a password for the instance and comes only this once."""

    instance_id: str
    instance_url: str | None = field(repr=False)
    response: Response
    oddities: tuple[str, ...] = ()
    source: msgspec.Raw = field(default_factory=msgspec.Raw, repr=False)

    @property
    def raw(self) -> dict[str, Any]:
        """Everything that came, the link included."""
        return decode_object(self.source)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An accepted cancel, pause or resume. Read the object back to see its state; the texts are for display only."""

    status: str | None
    message: str | None
    response: Response
    source: msgspec.Raw = field(default_factory=msgspec.Raw, repr=False)

    @property
    def raw(self) -> dict[str, Any]:
        return decode_object(self.source)


@dataclass(frozen=True, slots=True)
class Listing(Sequence[T], Generic[T]):
    """Rows of one complete answer. `oddities` say what was skipped or not understood, `warnings` what may be missing."""

    items: tuple[T, ...] = field(repr=False)
    oddities: tuple[str, ...]
    response: Response
    warnings: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One page of the account-level list. `total_set_size` is approximate: never use it to judge completeness."""

    items: tuple[Instance, ...] = field(repr=False)
    oddities: tuple[str, ...]
    total_set_size: int | None
    result_set_size: int | None
    ctoken: str | None = field(repr=False)
    response: Response

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class UserAccount:
    """One account of a user. `base_uri` belongs to the eSignature API and is never called."""

    id: str
    name: str
    is_default: bool
    base_uri: str | None = None
    organization_id: str | None = None


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who a token belongs to. A person's key is (environment, `sub`), never the e-mail address."""

    sub: str
    name: str
    email: str
    accounts: tuple[UserAccount, ...]

    @property
    def default_account(self) -> UserAccount | None:
        """The account marked as default, else the only one, else None."""
        for account in self.accounts:
            if account.is_default:
                return account
        return self.accounts[0] if len(self.accounts) == 1 else None


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """An answer of the token endpoint. `expires_in` is in seconds from receipt."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int
    scope: str | None = None
