"""Answers that are not a success, turned into errors: every generation of error body is understood.

The one rule: the body decides before the header says what it is; nothing in here can fail on what a server sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from maestro_api import errors
from maestro_api.decoding import without_nul
from maestro_api.errors import Facts, FieldError, MaestroError
from maestro_api.limits import is_limit_code, limit_window, retry_after, wait_for

DETAIL_CAP: Final = 500
_FIELD_ERRORS_KEPT: Final = 100
_TEXT_NAMES: Final = ("detail", "message", "error_description", "error", "title")
_CODE_NAMES: Final = ("errorCode", "error_code", "code", "type")
_REQUEST_ID_NAMES: Final = ("X-DocuSign-TraceToken", "X-Request-Id", "X-Correlation-Id")
_BY_STATUS: Final[dict[int, type[errors.ResponseError]]] = {
    400: errors.BadRequest,
    422: errors.BadRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
}
_SURELY_REFUSED: Final = frozenset({400, 401, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422, 429, 431})
"""Statuses after which a write surely was not done."""


def problem(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    operation: str,
    ids: Mapping[str, str],
    writes: bool,
) -> MaestroError:
    """The error for a complete answer whose status is not 2xx."""
    members = error_members(body)
    code = _code(members) or _oauth_code(members)
    limited = status == 429 or (400 <= status < 500 and is_limit_code(code))
    window = limit_window(code)
    facts = Facts(
        status=status,
        request_id=request_id(headers, members),
        retry_after=wait_for(headers, window) if limited else retry_after(headers),
        code=code,
        detail=_detail(members, headers, body),
        field_errors=_field_errors(members),
        may_have_happened=writes and not limited and status not in _SURELY_REFUSED,
    )
    if limited:
        return errors.RateLimited(operation=operation, ids=ids, facts=facts, window=window)
    return _class_of(status)(operation=operation, ids=ids, facts=facts)


def error_members(body: bytes) -> dict[str, Any]:
    """The members of an error body that is a JSON object; empty for anything else."""
    try:
        value = msgspec.json.decode(without_nul(body))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class _Metadata(msgspec.Struct):
    request_id: str = ""


class _Signed(msgspec.Struct):
    """The places of a good answer where its number stands; everything else in it is passed over."""

    request_id: str = ""
    metadata: _Metadata | None = None
    response_metadata: _Metadata | None = None


def request_id_in(body: bytes) -> str:
    """The same number in the body of a good answer, for the log; "" when it has none or is no such object."""
    try:
        signed = msgspec.json.decode(body, type=_Signed)
    except (ValueError, RecursionError):
        return ""
    places = (signed, signed.metadata, signed.response_metadata)
    return next((place.request_id[:128] for place in places if place is not None and place.request_id), "")


def request_id(headers: Mapping[str, str], members: Mapping[str, Any]) -> str:
    """The id that Docusign's support asks for, wherever it stands; "" when there is none."""
    found = members.get("request_id")
    if isinstance(found, str) and found:
        return found[:128]
    for name in _REQUEST_ID_NAMES:
        value = headers.get(name)
        if value:
            return value[:128]
    return ""


def _class_of(status: int) -> type[errors.ResponseError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return errors.RedirectRefused
    return errors.ServerError if 500 <= status < 600 else errors.UnexpectedStatus


def _code(members: Mapping[str, Any]) -> str | None:
    for name in _CODE_NAMES:
        value = members.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return str(value)[:128]
    return None


def _oauth_code(members: Mapping[str, Any]) -> str | None:
    """OAuth's error name, which Docusign sends as one word or as an object with an errorCode."""
    error = members.get("error")
    if isinstance(error, dict):
        return _code(error)
    text = _text(error)
    return text[:128] if text and " " not in text else None


def _detail(members: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> str:
    for name in _TEXT_NAMES:
        value = members.get(name)
        text = _detail(value, headers, b"") if isinstance(value, dict) else _text(value)
        if text:
            return text
    if members or body[:1] in (b"{", b"[", b"<") or "html" in headers.get("Content-Type", "").lower():
        return ""
    return _text(body[: DETAIL_CAP * 4].decode("utf-8", "replace")) or ""


def _field_errors(members: Mapping[str, Any]) -> tuple[FieldError, ...]:
    listed = members.get("errors")
    if not isinstance(listed, list):
        return ()
    return tuple(
        FieldError(target=_text(entry.get("target")), message=_text(entry.get("message")) or "", code=_code(entry))
        for entry in listed[:_FIELD_ERRORS_KEPT]
        if isinstance(entry, dict)
    )


def _text(value: object) -> str | None:
    """Plain, printable, capped text; None for anything else."""
    if not isinstance(value, str):
        return None
    words = " ".join(value.split())
    plain = "".join(sign for sign in words if sign.isprintable())
    return plain[:DETAIL_CAP] or None
