"""The house rules, kept by reading the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("dashboard", "maestro_api")
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "handler"}

# Which layer may not import what (prefixes of dotted names).
BANS = {
    "maestro_api": ("django", "dashboard"),
    "dashboard/models": ("dashboard.services", "dashboard.views", "dashboard.forms", "maestro_api", "requests"),
    "dashboard/forms": ("dashboard.views", "maestro_api", "requests"),
    "dashboard/services": (
        "dashboard.views",
        "dashboard.forms",
        "django.http",
        "django.shortcuts",
        "django.contrib.messages",
        "requests",
    ),
    "dashboard/views": ("maestro_api", "requests", "dashboard.crypto"),
    "dashboard/templatetags": ("maestro_api", "requests", "dashboard.services", "dashboard.views"),
    "dashboard/management": ("dashboard.views", "requests"),
}
SIMULATOR_USERS = {"dashboard/management/commands/demo.py", "dashboard/management/commands/simulator.py"}


def sources(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from (path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reaches(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def test_no_python_file_is_longer_than_400_lines() -> None:
    long = {name_of(path): n for path in sources(*PACKAGES, "tests") if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_no_view_is_longer_than_25_lines_and_no_function_than_60() -> None:
    long = []
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                start = first.end_lineno + 1 if has_docstring and len(node.body) > 1 else node.lineno
                ceiling = 25 if path.parent.name == "views" else 60
                if node.end_lineno - start + 1 > ceiling:
                    long.append(f"{name_of(path)}:{node.lineno} {node.name}")
    assert long == []


def test_no_template_is_longer_than_150_lines() -> None:
    long = [name_of(path) for path in (ROOT / "templates").rglob("*.html") if len(path.read_text().splitlines()) > 150]
    assert long == []


def test_every_template_opens_with_a_comment_that_lists_its_context() -> None:
    bare = [
        name_of(path)
        for path in (ROOT / "templates").rglob("*.html")
        if "{#" not in path.read_text()[:400] and "{% comment" not in path.read_text()[:400]
    ]
    assert bare == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in sources(*PACKAGES) if path.stem in FORBIDDEN_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name_of(path)
        for path in sources(*PACKAGES)
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("layer", BANS)
def test_a_layer_imports_only_what_it_may(layer: str) -> None:
    breaches = [
        f"{name_of(path)} imports {name}"
        for path in sources(layer)
        for name in imports_of(ast.parse(path.read_text()))
        for prefix in BANS[layer]
        if reaches(name, prefix)
    ]
    assert breaches == []


def test_only_the_demo_and_simulator_commands_use_the_simulator() -> None:
    users = {
        name_of(path)
        for path in sources(*PACKAGES)
        if not name_of(path).startswith("maestro_api/simulator/")
        and any(reaches(name, "maestro_api.simulator") for name in imports_of(ast.parse(path.read_text())))
    }
    assert users <= SIMULATOR_USERS


def test_requests_leave_only_through_the_transport() -> None:
    """E-10: one module sends, so one module retries."""
    senders = {
        name_of(path)
        for path in sources(*PACKAGES)
        if not name_of(path).startswith("maestro_api/simulator/")
        and re.search(r"\brequests\.(get|post|put|delete|request|Session)\b|\.send\(", path.read_text())
    }
    assert senders <= {"maestro_api/transport.py", "maestro_api/session.py"}


def test_only_the_audit_service_writes_audit_entries() -> None:
    writers = {
        name_of(path)
        for path in sources("dashboard")
        if re.search(r"AuditEntry\(|AuditEntry\.objects\.(create|bulk_create|update)", path.read_text())
    }
    assert writers <= {"dashboard/services/audit.py", "dashboard/models/audit.py"}


@pytest.mark.parametrize("ring", ["TOKEN_KEYS", "BACKUP_KEYS"])
def test_only_crypto_reads_the_keys(ring: str) -> None:
    readers = {name_of(path) for path in sources("dashboard") if f"settings.{ring}" in path.read_text()}
    assert readers <= {"dashboard/crypto.py", "dashboard/checks.py"}


def test_nothing_is_imported_inside_a_function() -> None:
    inside = []
    for path in sources(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(child, ast.Import | ast.ImportFrom) for child in ast.walk(node)
            ):
                inside.append(f"{name_of(path)}:{node.name}")
    assert inside == []


def test_templates_and_scripts_hold_nothing_inline_and_escape_everything() -> None:
    """S-1, S-2, S-3: no inline script, style or handler, no evaluated htmx attribute, no unescaped output."""
    pattern = re.compile(
        r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=\"|\son[a-z]+=\"|hx-on|hx-vals=.js:|\|\s*safe\b|autoescape off"
    )
    found = [
        f"{name_of(path)}: {match.group(0)}"
        for path in (ROOT / "templates").rglob("*.html")
        for match in pattern.finditer(path.read_text())
    ]
    found += [name_of(path) for path in sources("dashboard") if re.search(r"mark_safe|SafeString\(", path.read_text())]
    found += [
        name_of(path)
        for path in (ROOT / "static/js").rglob("*.js")
        if re.search(r"\beval\(|new Function|innerHTML", path.read_text())
    ]
    assert found == []


def test_every_test_can_fail() -> None:
    words = ("assert", "raises", "expect", "fail")
    empty = [
        f"{name_of(path)}:{node.name}"
        for path in sources("tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not any(word in " ".join(ast.dump(statement) for statement in node.body).lower() for word in words)
    ]
    assert empty == []
