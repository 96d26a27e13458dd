"""A machine in a directory: the steps of `docs/deploy.md` run in it, with stand-ins for what only root or systemd can do.

The one rule: what the steps say is run as it stands; only paths and ports are moved, and each stand-in is listed here.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.deployment.systemctl import is_alive
from tests.processes import ROOT, free_port, product_environment

DOCUMENT = ROOT / "docs" / "deploy.md"
BLOCK = re.compile(r"^```sh ?(\w*)\n(.*?)^```$", re.S | re.M)
MOVED = ("/opt/maestro-console", "/etc/maestro-console", "/etc/systemd/system", "/etc/nginx", "/etc/caddy")
MOVED += ("/var/lib/maestro-console", "/var/backups/maestro-console", "/var/log/maestro-console", "/var/log/nginx")
NOTHING = "#!/bin/sh\nexit 0\n"
# Started without a user and without systemd, and listening on ports of their own.
STAND_INS = {
    "apt-get": NOTHING,
    "adduser": NOTHING,
    "runuser": '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n',
    "install": """#!{python}
import os, sys
words, kept = iter(sys.argv[1:]), []
for word in words:
    if word in ("--owner", "--group"):
        next(words)
    else:
        kept.append(word)
os.execv("{install}", ["install", *kept])
""",
    "git": """#!/bin/sh
case "$*" in
"clone "*) exec {python} -m tests.deployment.clone "$3" ;;
*" pull --ff-only") exit 0 ;;
*) echo "not a step that is known: git $*" >&2; exit 1 ;;
esac
""",
    "python3": """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then exec ln -s {environment} "$3"; fi
exec {python} "$@"
""",
    "systemctl": '#!/bin/sh\nexec {python} -m tests.deployment.systemctl "$@"\n',
    "nginx": '#!/bin/sh\nexec {nginx} -p {root}/etc/nginx -c {root}/etc/nginx/nginx.conf "$@"\n',
}
NGINX = """pid {root}/nginx.pid;
error_log {root}/nginx.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  include {root}/etc/nginx/sites-enabled/*;
}}
"""


def steps(kind: str = "") -> str:
    """The fenced blocks of one kind, in order, as one script."""
    found = [text for word, text in BLOCK.findall(DOCUMENT.read_text()) if word == kind]
    assert found, kind
    return "\n".join(found)


def listening(site: str, plain_port: int | str, tls_port: int | str) -> str:
    """A site of nginx on other ports of loopback; whether a machine of tests has IPv6 is not asked."""
    site = re.sub(r"^    listen \[::\]:[^\n]*\n", "", site, flags=re.M)
    return site.replace("listen 443 ", f"listen 127.0.0.1:{tls_port} ").replace(
        "listen 80;", f"listen 127.0.0.1:{plain_port};"
    )


@dataclass
class Machine:
    """Where everything lies and listens."""

    root: Path
    simulator_url: str
    client_id: str
    client_secret: str
    host: str = "localhost"
    web_port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    plain_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        for folder in (
            "bin",
            "run",
            "etc/systemd/system",
            "etc/nginx/sites-available",
            "etc/nginx/sites-enabled",
            "etc/caddy",
        ):
            (self.root / folder).mkdir(parents=True)
        for folder in ("var/lib", "var/backups", "var/log/nginx", "opt"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "etc/nginx/sites-enabled/default").write_text("this is no configuration\n")
        (self.root / "etc/nginx/nginx.conf").write_text(NGINX.format(root=self.root))
        words = {
            "python": sys.executable,
            "environment": sys.prefix,
            "root": self.root,
            "install": _find("install"),
            "nginx": _find("nginx"),
        }
        for name, text in STAND_INS.items():
            file = self.root / "bin" / name
            file.write_text(text.format(**words))
            file.chmod(0o755)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.tls_port}"

    @property
    def certificate(self) -> Path:
        return self.root / "etc/maestro-console/tls.crt"

    def moved(self, text: str) -> str:
        """The text with every path inside this machine's directory, and every port its own."""
        for path in MOVED:
            text = text.replace(path, f"{self.root}{path}")
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.web_port}")
        text = text.replace("https://$CONSOLE_HOST/", f"https://$CONSOLE_HOST:{self.tls_port}/")
        return listening(text, self.plain_port, self.tls_port)

    def yours(self) -> str:
        """What the reader writes into the first block."""
        values = {
            "CONSOLE_HOST": self.host,
            "CONSOLE_SOURCE": str(ROOT),
            "DOCUSIGN_ENVIRONMENT": "simulator",
            "DOCUSIGN_CLIENT_ID": self.client_id,
            "DOCUSIGN_CLIENT_SECRET": self.client_secret,
        }
        first = BLOCK.findall(DOCUMENT.read_text())[0][1]
        assert set(re.findall(r"^(\w+)=", first, re.M)) == set(values)
        return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())

    def environment(self) -> dict[str, str]:
        """The shell of the reader: nothing of the settings is there yet."""
        kept = {name: product_environment()[name] for name in ("HOME", "LANG", "TERM") if name in os.environ}
        path = f"{self.root / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        # The packages are there already, and nothing is fetched: where one is not of the lock's version, the step fails.
        tests = {
            "PYTHONPATH": str(ROOT),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
        }
        return (
            kept
            | tests
            | {"PATH": path, "MACHINE": str(self.root), "SIMULATOR_URL": self.simulator_url}
            | {
                "WEB_PORT": str(self.web_port),
                "TLS_PORT": str(self.tls_port),
                "PLAIN_PORT": str(self.plain_port),
            }
        )

    def run(self, script: str, *, seconds: float = 180) -> str:
        """Run steps as a shell does that stops at the first one that fails; what they said."""
        log = self.root / "steps.log"
        with log.open("ab") as sink:
            shell = subprocess.Popen(
                ["bash", "-eux", "-o", "pipefail", "-c", f"{self.yours()}\n{self.moved(script)}"],
                env=self.environment(),
                cwd=self.root,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            status: int | str = shell.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = "not over in time"
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        text = log.read_text(errors="replace")
        assert status == 0, f"{status}\n{text}\n{self.journal()}"
        return text

    def journal(self) -> str:
        """What the units wrote."""
        return "\n".join(f"== {each.name}\n{each.read_text(errors='replace')}" for each in self.root.glob("run/*.log"))

    def pids(self) -> dict[str, int]:
        return {each.stem: int(each.read_text()) for each in self.root.glob("run/*.pid")}

    def power_off(self) -> None:
        """End what was started here, by its number."""
        groups = list(self.pids().values())
        nginx = self.root / "nginx.pid"
        if nginx.exists() and nginx.read_text().strip():
            groups.append(int(nginx.read_text()))
        for number in groups:
            _signal(number, signal.SIGTERM)
        until = time.monotonic() + 15
        while any(is_alive(number) for number in groups) and time.monotonic() < until:
            time.sleep(0.1)
        for number in groups:
            _signal(number, signal.SIGKILL)


def _find(program: str) -> str:
    for folder in (*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"):
        if os.access(Path(folder) / program, os.X_OK):
            return str(Path(folder) / program)
    return f"/nowhere/{program}"


def _signal(number: int, which: signal.Signals) -> None:
    try:
        os.killpg(number, which)
    except ProcessLookupError:
        return
