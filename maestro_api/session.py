"""Sockets for the transport: a connection pool whose every read obeys one wall clock, and that goes only where it may.

The one rule: no retry, redirect, proxy, cookie or environment variable has any say here. A read timeout counts from byte
to byte, so a server that drips could hold a call for ever; here each read is given only the time the call has left.
"""

from __future__ import annotations

import functools
import io
import ipaddress
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

POOL_SIZE: Final = 16
IDLE_LIMIT_SECONDS: Final = 15.0  # an older idle connection may be closed by the other side just as we send
Phase = Literal["idle", "connecting", "connected", "sent"]


@dataclass(slots=True)
class Attempt:
    """One request on its way, as the socket level sees it. `phase` proves whether a byte can have left."""

    deadline: float
    read_timeout: float
    phase: Phase = "idle"

    def time_left(self) -> float:
        return self.deadline - time.monotonic()


@dataclass(slots=True)
class _Current(threading.local):
    attempt: Attempt | None = field(default=None)


_current: Final = _Current()


class watched:
    """Context in which the sockets of this thread obey `attempt`."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __enter__(self) -> Attempt:
        _current.attempt = self._attempt
        return self._attempt

    def __exit__(self, *_: object) -> None:
        _current.attempt = None


class DeadlineReader(io.RawIOBase):
    """The reading end of a socket; before each read the socket's timeout is set to what the call has left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = cast(io.RawIOBase, sock.makefile("rb", buffering=0))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        attempt = _current.attempt
        if attempt is not None:
            left = attempt.time_left()
            if left <= 0:
                raise TimeoutError("the call is out of time")
            self._sock.settimeout(min(left, attempt.read_timeout))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """A connected socket that hands out deadline readers; everything else is the socket's own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(DeadlineReader(self._sock))


def _open_socket(connection: HTTPConnection, *, loopback: bool) -> socket.socket:
    """Connect to the first address that answers, refusing addresses that the environment cannot mean.

    Resolving and checking happen here, at connect, so that a name rebound to an inner address gains nothing.
    """
    host = connection._dns_host  # what urllib3 itself connects to
    try:
        found = socket.getaddrinfo(host, connection.port, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(connection.host, connection, reason) from error
    last: OSError | None = None
    for family, kind, protocol, _, address in found:
        if not _may_connect(str(address[0]), loopback=loopback):
            last = OSError("the name resolves to an address that is not allowed")
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(_connect_timeout(connection.timeout))
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
        else:
            return sock
    if isinstance(last, TimeoutError):
        raise ConnectTimeoutError(connection, "the connection was not made in time")
    raise NewConnectionError(connection, f"no connection was made: {last}")


def _may_connect(address: str, *, loopback: bool) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback if loopback else ip.is_global and not ip.is_multicast


def _connect_timeout(configured: Any) -> float:
    attempt = _current.attempt
    seconds = float(configured) if isinstance(configured, (int, float)) else 3.05
    if attempt is None:
        return seconds
    left = attempt.time_left()
    if left <= 0:
        raise TimeoutError("the call is out of time")
    return min(seconds, left)


class _Watched(HTTPConnection):
    """What both kinds of connection add: address check, deadline, proof of sending, no stale reuse."""

    loopback = False
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        if time.monotonic() - self._used_at > IDLE_LIMIT_SECONDS:
            return False
        return super().is_connected

    def _new_conn(self) -> socket.socket:
        return _open_socket(self, loopback=self.loopback)

    def connect(self) -> None:
        attempt = _current.attempt
        if attempt is not None:
            attempt.phase = "connecting"
        super().connect()
        self.sock = cast(socket.socket, _DeadlineSocket(cast(socket.socket, self.sock)))
        self._used_at = time.monotonic()
        if attempt is not None:
            attempt.phase = "connected"

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _current.attempt
        if attempt is not None:
            attempt.phase = "sent"
            cast(socket.socket, self.sock).settimeout(max(min(attempt.time_left(), attempt.read_timeout), 0.001))
        self._used_at = time.monotonic()
        super().send(data)


class _PublicHTTPS(_Watched, HTTPSConnection):
    pass


class _LoopbackHTTPS(_Watched, HTTPSConnection):
    loopback = True


class _LoopbackHTTP(_Watched):
    loopback = True


class _PublicHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPS


class _LoopbackHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _LoopbackHTTPS


class _LoopbackHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _LoopbackHTTP


@functools.cache
def tls_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, certifi's authorities, host names checked. Built by hand so that no variable can weaken it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    return context


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter over the connections above. Retries are 0: repeating is decided in the transport only."""

    def __init__(self, *, loopback: bool, context: ssl.SSLContext | None = None) -> None:
        self._loopback = loopback
        self._context = context or tls_context()
        super().__init__(pool_connections=4, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)
        pools: dict[str, type[urllib3.HTTPConnectionPool]] = {"https": _PublicHTTPSPool}
        if self._loopback:
            pools = {"https": _LoopbackHTTPSPool, "http": _LoopbackHTTPPool}
        self.poolmanager.pool_classes_by_scheme = pools

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Certificates are always required; `verify=False` from anywhere has no effect."""
        conn.cert_reqs = "CERT_REQUIRED"


def secured(session: requests.Session, *, loopback: bool) -> requests.Session:
    """Bring any session under our rules: own adapters, nothing read from the environment."""
    session.trust_env = False
    for prefix in [*session.adapters]:
        if not isinstance(session.adapters[prefix], DeadlineAdapter):
            del session.adapters[prefix]
    if not session.adapters:
        session.mount("https://", DeadlineAdapter(loopback=loopback))
    if loopback and "http://" not in session.adapters:
        session.mount("http://", session.adapters["https://"])
    return session


@functools.cache
def _session_of(process: int, loopback: bool) -> requests.Session:
    return secured(requests.Session(), loopback=loopback)


def shared_session(*, loopback: bool) -> requests.Session:
    """One pool of connections a process, so that a short-lived client does not pay for a new handshake."""
    return _session_of(os.getpid(), loopback)
