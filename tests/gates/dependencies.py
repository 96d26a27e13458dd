"""Asks an advisory service about every installed package (S-18). Its one rule: not reached is said, and is not the same as clean."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

SERVICE = "https://api.osv.dev/v1/query"
REACH_SECONDS = 5.0
AWAY = re.compile(r"ProxyError|ConnectionError|ConnectTimeout|ReadTimeout|[Cc]ould not connect")


def is_reachable(url: str) -> bool:
    """Whether the service answers at all; through a proxy that is the proxy's business."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy")):
        return True
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=REACH_SECONDS):
            return True
    except OSError:
        return False


def audit(url: str = SERVICE, *, packages: Sequence[str] = ()) -> list[str] | None:
    """One line for each known vulnerability; None when the service could not be asked. Without `packages`: what is installed."""
    if not is_reachable(url):
        return None
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--vulnerability-service",
        "osv",
        "--osv-url",
        url,
        "--format",
        "json",
    ]
    command += ["--progress-spinner", "off", *packages]
    ended = subprocess.run(command, capture_output=True, text=True)
    try:
        report = json.loads(ended.stdout)
        entries = report["dependencies"]
    except (ValueError, KeyError, TypeError):
        # A gate that cannot look does not open; only a network that is away is no fault of the project.
        last = (ended.stderr.strip() or "it said nothing").splitlines()[-1]
        return None if AWAY.search(last) else [f"pip-audit ended with {ended.returncode}: {last}"]
    return [
        f"{each['name']} {each['version']}: {found['id']}, repaired in {', '.join(found['fix_versions']) or 'no version yet'}"
        for each in entries
        for found in each.get("vulns", [])
    ]
