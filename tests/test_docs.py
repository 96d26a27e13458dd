"""Documentation that stays true: every variable, command and link that it names exists, and none is left out."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
TEXT = "\n".join(page.read_text() for page in PAGES)


def variables_of_the_settings() -> set[str]:
    source = (ROOT / "dashboard" / "settings.py").read_text()
    served = (ROOT / "deploy" / "gunicorn.conf.py").read_text()
    read = set(re.findall(r'(?:env\.\w+\(|read_\w+\(env(?:\.\w+)?,)\s*"([A-Z_]+)"', source))
    return read | set(re.findall(r'environ\.get\("([A-Z_]+)"', served))


def variables_of_the_page() -> set[str]:
    return set(re.findall(r"^\| `([A-Z_]+)` \|", CONFIGURATION, re.M))


def own_commands() -> set[str]:
    return {name for name, app in get_commands().items() if app == "dashboard"}


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_variable_that_is_read_is_explained() -> None:
    read = variables_of_the_settings()
    assert len(read) > 15
    assert read - variables_of_the_page() == set()


def test_every_variable_that_is_explained_is_read() -> None:
    assert variables_of_the_page() - variables_of_the_settings() == set()


def test_every_command_is_explained() -> None:
    assert {name for name in own_commands() if not re.search(rf"\b(manage\.py|make) {name}\b", TEXT)} == set()


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"manage\.py (\w+)", TEXT))
    assert named - set(get_commands()) == set()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([\w-]+)|`make ([\w-]+)", TEXT, re.M)) != set()
    named = {first or second for first, second in re.findall(r"^make ([\w-]+)|`make ([\w-]+)", TEXT, re.M)}
    assert named - targets == set()


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = (document.parent / file).resolve() if file else document
        assert there.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors_of(there), f"{document.name} links to {target}"


def test_the_first_words_of_every_module_say_what_it_is_for() -> None:
    """A module that cannot say its one purpose is two modules."""
    silent = [
        str(path.relative_to(ROOT))
        for folder in ("dashboard", "maestro_api")
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts and path.stat().st_size and not path.read_text().lstrip().startswith('"""')
    ]
    assert silent == []
