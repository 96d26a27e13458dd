"""S-18: every gate is red on a defect that is sown for it; that they are green on the project is what `make lint` shows."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.gates import assets, dependencies, deployment, history, secrets
from tests.gates.__main__ import GATES, main
from tests.processes import ROOT, free_port

MAKEFILE = (ROOT / "Makefile").read_text()
ADVISORY = {
    "id": "PYSEC-0000-1",
    "summary": "A hole that is sown",
    "affected": [
        {
            "package": {"name": "old-package", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
            "versions": ["1.0.0"],
        }
    ],
}


def sown(folder: Path, name: str, text: str) -> Path:
    """A git of its own with one file."""
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_the_deployment_check_is_red_on_a_setting_that_weakens(tmp_path: Path) -> None:
    """S-18: HSTS taken away."""
    (tmp_path / "weakened.py").write_text("from dashboard.settings import *\nSECURE_HSTS_SECONDS = 0\n")
    found = deployment.deployment({"PYTHONPATH": f"{ROOT}:{tmp_path}"}, settings="weakened")
    assert any("security.W004" in line for line in found)


def test_the_gate_of_migrations_is_red_on_a_model_without_one(tmp_path: Path) -> None:
    """S-18: an app whose table nobody makes."""
    app = tmp_path / "sown"
    (app / "migrations").mkdir(parents=True)
    for file in (app / "__init__.py", app / "migrations/__init__.py"):
        file.touch()
    (app / "models.py").write_text(
        "from django.db import models\n\n\nclass Sown(models.Model):\n    name = models.TextField()\n"
    )
    (tmp_path / "grown.py").write_text("from dashboard.settings import *\nINSTALLED_APPS += ['sown']\n")
    found = deployment.migrations({"PYTHONPATH": f"{ROOT}:{tmp_path}"}, settings="grown")
    assert any("Create model Sown" in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B" * 8 + "\n",
        "aws = 'AKIA" + "Q3EGRZ7XW5T2N6PD'",
        "token: ghp_" + "a1B2c3D4e5" * 4,
        "TOKEN_KEYS=" + "kB6v0Jm1y9d8q2W4x7Zc3Fh" + "5Lr+TnQpUsEoAiGgYwXk=",
        "DJANGO_SECRET_KEY=" + "9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        '"DOCUSIGN_CLIENT_SECRET": "' + "3f0b8c1e-9a7d-4e52-8b60-1c2d3e4f5a6b" + '"',
        "DATABASE_URL=postgres://console:" + "h8Gt5Rw2Xq@db.example.com/console",
        "auth = 'eyJ" + "hbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'",
    ],
    ids=["private key", "aws", "github", "32 bytes", "secret key", "client secret", "address", "signed token"],
)
def test_the_gate_of_secrets_is_red_on_one_and_does_not_print_it(text: str, tmp_path: Path) -> None:
    """S-18: seeded defects."""
    found = list(secrets.scan(sown(tmp_path, "notes.txt", text)))
    assert len(found) == 1
    assert found[0].startswith("notes.txt:1: looks like")
    assert text[-12:] not in found[0]


def test_ordinary_words_are_no_secrets(tmp_path: Path) -> None:
    text = "DJANGO_SECRET_KEY=\nTOKEN_KEYS=…\nDATABASE_URL=postgres://console:…@db.example.com/console\n" + "a" * 60
    assert list(secrets.scan(sown(tmp_path, "notes.txt", text))) == []


def test_what_is_allowed_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception for something that never was would let the next one through."""
    left = set(secrets.allowed())
    monkeypatch.setattr(secrets, "allowed", frozenset)
    for file in secrets.tracked(ROOT):
        left -= {digest for _, digest, _ in secrets.suspects(file.read_bytes().decode("utf-8", "replace"))}
    for _, _, text in history.texts(ROOT) if left else ():
        left -= {digest for _, digest, _ in secrets.suspects(text)}
    assert left == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("templates/base.html", '<script defer src="https://cdn.example.com/htmx.js"></script>'),
        ("templates/base.html", '<link rel="stylesheet" href="//cdn.example.com/x.css">'),
        ("templates/base.html", "<img alt='' src='http://example.com/pixel.gif'>"),
        ("static/css/base.css", "@import url(https://fonts.example.com/css);"),
        ("static/css/base.css", "body { background: url('//example.com/x.png') }"),
        ("static/js/keys.js", 'import x from "https://cdn.example.com/x.js"'),
        ("static/js/keys.js", "fetch(`https://example.com/count`)"),
    ],
)
def test_the_gate_of_assets_is_red_on_one_from_elsewhere(name: str, text: str, tmp_path: Path) -> None:
    """S-18: seeded defects."""
    assert list(assets.scan(sown(tmp_path, name, text))) == [f"{name}:1: loads from elsewhere"]


def test_a_link_to_elsewhere_is_no_asset(tmp_path: Path) -> None:
    text = '<a href="https://www.docusign.com/" rel="noreferrer noopener">Docusign</a>'
    assert list(assets.scan(sown(tmp_path, "templates/base.html", text))) == []


@pytest.fixture
def advisories() -> Iterator[str]:
    """An advisory service that knows of one hole, in `old-package`."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_old = asked["package"]["name"] == "old-package"
            body = json.dumps({"vulns": [ADVISORY]} if is_old else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nothing of it is of interest."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def pinned(folder: Path, text: str) -> list[str]:
    (folder / "requirements.txt").write_text(text)
    return ["--requirement", str(folder / "requirements.txt"), "--no-deps", "--disable-pip"]


def test_the_audit_is_red_on_a_package_with_a_known_hole(advisories: str, tmp_path: Path) -> None:
    """S-18: what pip-audit says of a seeded advisory."""
    found = dependencies.audit(advisories, packages=pinned(tmp_path, "old-package==1.0.0\nother==2.0\n"))
    assert found == ["old-package 1.0.0: PYSEC-0000-1, repaired in 1.0.1"]


def test_the_audit_is_green_on_packages_without(advisories: str, tmp_path: Path) -> None:
    assert dependencies.audit(advisories, packages=pinned(tmp_path, "other==2.0\n")) == []


def test_a_service_that_cannot_be_reached_is_a_skip_that_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-18: a clear skip, not a green light."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    nowhere = f"http://127.0.0.1:{free_port()}/v1/query"
    assert dependencies.audit(nowhere) is None
    monkeypatch.setattr(dependencies, "is_reachable", lambda url: False)
    assert main(["audit"]) == 0
    assert "SKIPPED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("No module named pip_audit", ["pip-audit ended with 3: No module named pip_audit"]),
        ("requests.exceptions.ProxyError: tunnel refused", None),
    ],
)
def test_an_audit_that_breaks_is_red_unless_the_network_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, found: list[str] | None
) -> None:
    """S-18: pip-audit that is missing or broken found nothing, which is not the same as clean."""
    broken = tmp_path / "python"
    broken.write_text(f"#!/bin/sh\necho '{{}}'\necho 'first' >&2\necho '{said}' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(dependencies, "is_reachable", lambda url: True)
    monkeypatch.setattr(dependencies.sys, "executable", str(broken))
    assert dependencies.audit() == found


def test_a_red_gate_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tests.gates.__main__.GATES", {"one": list, "two": lambda: ["here it is"]})
    assert main([]) == 1
    assert capsys.readouterr().out == "two: here it is\n"


def test_lint_and_test_go_through_the_gates() -> None:
    assert set(GATES) == {
        "deployment check",
        "migrations",
        "locked packages",
        "secrets",
        "secrets of the past",
        "assets from elsewhere",
    }
    lint = MAKEFILE.partition("\nlint: ")[2].partition("\n\n")[0]
    assert "-m tests.gates" in lint
    test = MAKEFILE.partition("\ntest: ")[2].partition("\n\n")[0]
    assert {"lint", "audit"} <= set(test.split())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import subprocess\n\nsubprocess.run('ls ' + name, shell=True)\n", "S602"),
        ("import pickle\n\npickle.loads(data)\n", "S301"),
        ("password = 'h8Gt5Rw2Xq'\n", "S105"),
        ("import requests\n\nrequests.get(url, verify=False)\n", "S501"),
    ],
)
def test_ruffs_security_rules_are_red_on_a_defect(text: str, rule: str) -> None:
    """S-18: in place of bandit."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--stdin-filename",
        "dashboard/sown.py",
        "--output-format",
        "concise",
        "-",
    ]
    ended = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode != 0
    assert rule in ended.stdout
