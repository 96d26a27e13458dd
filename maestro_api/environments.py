"""Where Docusign lives: the hosts and scopes of demo, production and a local simulator.

The one rule: a base address comes from here, never from an answer, and plain http exists only for a simulator on loopback.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

EnvironmentName = Literal["demo", "production", "simulator"]
Origin = tuple[str, str, int]

MAESTRO_SCOPES: Final = ("signature", "aow_manage")
DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Environment:
    """One Docusign environment: OAuth server and API together, so they can never be mixed.

    `app_origins` are the origins that an `instance_url` may have ("https://apps-d.docusign.com").
    Source: developers.docusign.com/platform/auth/reference and the published Maestro specification.
    """

    name: EnvironmentName
    oauth_url: str
    api_url: str
    app_origins: frozenset[str]
    scopes: tuple[str, ...] = MAESTRO_SCOPES

    @property
    def is_simulator(self) -> bool:
        return self.name == "simulator"

    @property
    def allowed_origins(self) -> frozenset[Origin]:
        """The only (scheme, host, port) that a credential may be sent to."""
        found = (origin_of(url) for url in (self.oauth_url, self.api_url))
        return frozenset(origin for origin in found if origin is not None)


DEMO: Final = Environment(
    name="demo",
    oauth_url="https://account-d.docusign.com",
    api_url="https://api-d.docusign.com",
    app_origins=frozenset({"https://apps-d.docusign.com"}),
)
PRODUCTION: Final = Environment(
    name="production",
    oauth_url="https://account.docusign.com",
    api_url="https://api.docusign.com",
    app_origins=frozenset({"https://apps.docusign.com"}),
)


def simulator_environment(url: str, api_url: str | None = None) -> Environment:
    """An environment on this machine. `api_url` may name another loopback host for the API alone.

    A path prefix is kept. Raises ValueError unless both addresses are http(s) on loopback.
    """
    oauth_base = _loopback_base(url)
    api_base = oauth_base if api_url is None else _loopback_base(api_url)
    origins = frozenset(_origin_text(base) for base in (oauth_base, api_base))
    return Environment(name="simulator", oauth_url=oauth_base, api_url=api_base, app_origins=origins)


def origin_of(url: str) -> Origin | None:
    """(scheme, host, port) of an absolute http(s) address, or None when anything about it is not plain.

    Refused on purpose: user info, backslashes, control or non-ASCII characters, a trailing dot, an empty or bad port.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not host or "@" in parts.netloc or "%" in parts.netloc:
        return None
    if host.endswith(".") or parts.netloc.endswith(":"):
        return None
    return parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port


def is_app_url(environment: Environment, url: str) -> bool:
    """Whether a link may be offered to a person as a page of this environment's Docusign."""
    origin = origin_of(url)
    return origin is not None and origin in {origin_of(allowed) for allowed in environment.app_origins}


def is_loopback(host: str) -> bool:
    """Whether a host name or address literal can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _loopback_base(url: str) -> str:
    origin = origin_of(url)
    if origin is None or not is_loopback(origin[1]):
        raise ValueError(f"A simulator must be an http address on this machine, not {url!r}.")
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError(f"A simulator address has no query or fragment: {url!r}.")
    return url.rstrip("/")


def _origin_text(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
