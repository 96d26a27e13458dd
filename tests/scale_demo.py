"""Many machines on one: PostgreSQL, Redis, nginx, two web masters, three workers and a simulator, on loopback and on ports of their own.

`make scale-demo` starts them and stays; `python -m tests.scale_demo MODULE …` runs a module against them, which finds SCALE_DEMO_URL
and SCALE_DEMO_SIMULATOR_URL in its environment. The one rule: whatever ends it ends every part of it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.installation import MANAGE, PYTHON, WEB, Installation
from tests.postgres import MISSING, Cluster, programs
from tests.processes import ROOT, free_port
from tests.redis_server import RedisServer

WEB_MASTERS, WORKERS = 2, 3
HTTP = """daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{site}
}}
"""


def nginx_site(text: str, port: int, web_ports: list[int]) -> str:
    """`deploy/nginx-many.conf` for this machine: plain http, since the simulator's people come to loopback without TLS."""
    servers = "".join(f"    server 127.0.0.1:{each} max_fails=2 fail_timeout=5s;\n" for each in web_ports)
    text = re.sub(r"(    server \d[^\n]*\n)+", lambda _: servers, text, count=1)
    text = re.sub(r"^server \{\n    listen 80;.*?^\}\n", "", text, flags=re.S | re.M)
    text = re.sub(r"^    (ssl_|listen \[|access_log|error_log)[^\n]*\n", "", text, flags=re.M)
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};").replace(
        "console.example.com", "localhost 127.0.0.1"
    )
    return text.replace("X-Forwarded-Proto https", "X-Forwarded-Proto http")


class ScaleDemo(Installation):
    """The parts are simulator, worker-1 to worker-3, web-1, web-2 and nginx."""

    def __init__(self, *simulator_words: str, port: int = 0, **variables: str) -> None:
        super().__init__(*simulator_words, port=port, **variables)
        self.web_ports = [free_port() for _ in range(WEB_MASTERS)]

    def _environment(self) -> dict[str, str]:
        folder, self._nginx = programs(), shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
        if folder is None or self._nginx is None:
            raise SystemExit(
                f"{MISSING}." if folder is None else "nginx is not installed (on Debian: apt-get install nginx-light)"
            )
        cluster = self._stack.enter_context(Cluster(folder, is_in_a_hurry=False))
        redis = self._stack.enter_context(RedisServer())
        return {
            "DATABASE_URL": cluster.url,
            "QUEUE_URL": f"celery+redis://{redis.place}/0",
            "CACHE_URL": f"redis://{redis.place}/1",
            "TRUSTED_PROXIES": "127.0.0.1",
            "WEB_PROCESSES": "1",
        }

    def _console_parts(self) -> dict[str, Sequence[str | Path]]:
        site = nginx_site((ROOT / "deploy/nginx-many.conf").read_text(), self.port, self.web_ports)
        (self.folder / "nginx.conf").write_text(HTTP.format(folder=self.folder, site=site))
        webs = dict(enumerate(self.web_ports, start=1))
        self._own |= {f"web-{number}": {"WEB_BIND": f"127.0.0.1:{port}"} for number, port in webs.items()}
        assert self._nginx is not None
        return {
            **{f"worker-{number}": [PYTHON, MANAGE, "work"] for number in range(1, WORKERS + 1)},
            **{f"web-{number}": WEB for number in webs},
            "nginx": [
                *(self._nginx, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "nginx.log")
            ],
        }


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main(words: list[str]) -> int:
    signal.signal(signal.SIGTERM, _stop)
    with ScaleDemo(port=int(os.environ.get("PORT") or 0)) as demo:
        if words:
            found = {"SCALE_DEMO_URL": demo.url, "SCALE_DEMO_SIMULATOR_URL": demo.simulator_url}
            return subprocess.run([sys.executable, "-m", *words], env=dict(os.environ) | found).returncode
        print(f"Scale demo ready: {demo.url}", flush=True)
        try:
            while all(process.poll() is None for process in demo.parts.values()):
                time.sleep(0.5)
        except KeyboardInterrupt:
            return 0
        print(f"A part ended by itself.\n{demo.logs()}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
