"""Whole 2xx answers to results: lists, pages, started instances, accepted actions.

The one rule: an answer counts only when it is JSON of the needed shape; Unfit says why it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from maestro_api.decoding import Members, Unfit, instances_of, members_of, rows_of, value_of
from maestro_api.environments import Environment, is_app_url
from maestro_api.resources import AccountPage, ActionResult, Listing, Response, Triggered
from maestro_api.rows import normal_id
from maestro_api.transport import Answer

T = TypeVar("T")
Rows = Callable[[list[msgspec.Raw]], tuple[tuple[T, ...], tuple[str, ...]]]

_PAGE_TOKENS: Final = ("page_token_next", "next_page_token", "ctoken")
_METADATA: Final = ("response_metadata", "metadata")
_BODILESS: Final = frozenset({202, 204, 205})


def check_type(answer: Answer) -> None:
    """Raise Unfit for an answer that says it is something else than JSON, such as a sign-in page."""
    stated = str(answer.response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
    if answer.body and stated and stated not in ("application/json", "text/json") and not stated.endswith("+json"):
        raise Unfit("the answer is not JSON")


def with_request_id(answer: Answer, members: Members | None = None) -> Response:
    """The response with Docusign's request id, which stands at the top, in the metadata, or in a header."""
    if members is None:
        try:
            members = members_of(answer.body)
        except Unfit:
            return answer.response
    found = value_of(members, "request_id", str)
    for name in _METADATA:
        found = found or value_of(value_of(members, name, Members) or {}, "request_id", str)
    return replace(answer.response, request_id=found[:128]) if found else answer.response


def listing_of(answer: Answer, read: Rows[T]) -> Listing[T]:
    """A list in one answer. A page token that comes although the operation has no paging becomes a warning."""
    members = members_of(answer.body)
    items, oddities = read(rows_of(members, "data"))
    warnings: tuple[str, ...] = ()
    places = (members, *(value_of(members, name, Members) or {} for name in _METADATA))
    if any(value_of(place, name, str) for place in places for name in _PAGE_TOKENS):
        warnings = ("Docusign says that there is a next page, but this operation has no way to ask for it.",)
    return Listing(items, oddities, with_request_id(answer, members), warnings)


def account_page_of(answer: Answer) -> AccountPage:
    """One page of the account-level list."""
    members = members_of(answer.body)
    items, oddities = instances_of(rows_of(members, "instances" if "instances" in members else "data"))
    return AccountPage(
        items=items,
        oddities=oddities,
        total_set_size=_size(members, "total_set_size"),
        result_set_size=_size(members, "result_set_size"),
        ctoken=value_of(members, "ctoken", str) or None,
        response=with_request_id(answer, members),
    )


def triggered_of(answer: Answer, environment: Environment) -> Triggered:
    """A started instance; without its id the outcome is not known."""
    members = members_of(answer.body)
    instance_id = normal_id(value_of(members, "instance_id", str) or value_of(members, "instanceId", str))
    if instance_id is None:
        raise Unfit("the answer has no instance id")
    link = value_of(members, "instance_url", str) or value_of(members, "instanceUrl", str) or None
    oddities: tuple[str, ...] = ()
    if link is None:
        oddities = ("Docusign sent no link to the instance.",)
    elif not is_app_url(environment, link):
        oddities = ("The link to the instance leads to another host than Docusign's.",)
    source = msgspec.Raw(answer.body)
    return Triggered(instance_id, link, with_request_id(answer, members), oddities, source)


def action_of(answer: Answer) -> ActionResult:
    """An accepted action, in any of its three generations."""
    if not answer.body.strip() and answer.response.status in _BODILESS:
        return ActionResult(None, None, answer.response)
    members = members_of(answer.body)
    return ActionResult(
        status=value_of(members, "status", str) or None,
        message=value_of(members, "message", str) or None,
        response=with_request_id(answer, members),
        source=msgspec.Raw(answer.body),
    )


def _size(members: Members, name: str) -> int | None:
    number = value_of(members, name, int)
    if number is not None:
        return number if number >= 0 else None
    text = value_of(members, name, str)
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 12 else None
