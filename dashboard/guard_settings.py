"""Reading the settings that keep the doors. Its one rule: a name or figure that cannot be understood stops the start."""

from ipaddress import ip_network

import environ
from django.core.exceptions import ImproperlyConfigured

# A minute each (S-16); the last one is failed sign-ins in a quarter of an hour.
RATE_LIMITS = {"sign-in": 10, "callback": 20, "write": 30, "export": 5, "search": 120, "lockout": 10}
HIGHEST_LIMIT = 1_000_000
SOCKET = "unix"
WIDEST = {4: 8, 6: 16}  # a wider network than this is no proxy of anybody's


def read_limits(env: environ.Env, name: str) -> dict[str, int]:
    """`off`, or words such as `write=60, search=0` over the figures above; 0 switches one off."""
    text = env.str(name, default="").strip()
    if text.lower() == "off":
        return dict.fromkeys(RATE_LIMITS, 0)
    limits = dict(RATE_LIMITS)
    for word in filter(None, (word.strip() for word in text.split(","))):
        kind, _, figure = (part.strip() for part in word.partition("="))
        if kind not in RATE_LIMITS or not (figure.isascii() and figure.isdecimal() and int(figure) <= HIGHEST_LIMIT):
            raise ImproperlyConfigured(
                f"{name} must be off, or hold words such as write=60; the names are {', '.join(RATE_LIMITS)}."
            )
        limits[kind] = int(figure)
    return limits


def read_proxies(env: environ.Env, name: str) -> list[str]:
    """Addresses or networks whose `X-Forwarded-For` is believed; `unix` for a proxy that comes through a socket file."""
    proxies = [each.strip() for each in env.list(name, default=[]) if each.strip()]
    for each in proxies:
        try:
            network = None if each == SOCKET else ip_network(each, strict=False)
        except ValueError:
            raise ImproperlyConfigured(f"{name} must hold addresses, networks or the word unix.") from None
        if network is not None and network.prefixlen < WIDEST[network.version]:
            raise ImproperlyConfigured(f"{name} names a network so wide that anybody could write their own address.")
    return proxies
