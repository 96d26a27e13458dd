"""One machine as `deploy/` starts it: gunicorn with two processes of four threads, one worker, SQLite on the disk, and a simulator.

The one rule: what is not named here is as `deploy/` has it.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.installation import MANAGE, PYTHON, WEB, Installation


class OneMachine(Installation):
    """The parts are simulator, worker and web."""

    @property
    def database(self) -> Path:
        return Path(self.variables["DATABASE_URL"].removeprefix("sqlite:///"))

    def _environment(self) -> dict[str, str]:
        stores = {
            "DATABASE_URL": f"sqlite:///{self.folder}/db.sqlite3",
            "QUEUE_URL": f"sqlite:///{self.folder}/queue.sqlite3",
            "CACHE_URL": "",
        }
        return stores | {"TRUSTED_PROXIES": "", "WEB_BIND": f"127.0.0.1:{self.port}"}

    def _console_parts(self) -> dict[str, Sequence[str | Path]]:
        return {"worker": [PYTHON, MANAGE, "work"], "web": WEB}
