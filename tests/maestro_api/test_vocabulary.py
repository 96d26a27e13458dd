"""States, environments and the public names."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maestro_api
from maestro_api import (
    DEMO,
    PRODUCTION,
    InstanceStatus,
    MaestroError,
    WorkflowStatus,
    errors,
    instance_status,
    is_app_url,
    simulator_environment,
    workflow_status,
)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("In Progress", InstanceStatus.IN_PROGRESS),
        ("In-progress", InstanceStatus.IN_PROGRESS),
        ("in_progress", InstanceStatus.IN_PROGRESS),
        ("INPROGRESS", InstanceStatus.IN_PROGRESS),
        ("Created", InstanceStatus.CREATED),
        ("completed", InstanceStatus.COMPLETED),
        ("Failed", InstanceStatus.FAILED),
        ("Canceled", InstanceStatus.CANCELED),
        ("Cancelled", InstanceStatus.CANCELED),
        ("Expired", InstanceStatus.EXPIRED),
        ("Paused", InstanceStatus.PAUSED),
        ("Hibernating", InstanceStatus.UNKNOWN),
        ("unknown", InstanceStatus.UNKNOWN),
        ("", InstanceStatus.UNKNOWN),
        (None, InstanceStatus.UNKNOWN),
        ("x" * 10_000, InstanceStatus.UNKNOWN),
    ],
)
def test_each_spelling_of_an_instance_state_is_known(raw, status):
    assert instance_status(raw) is status


def test_only_ends_are_terminal():
    terminal = {status for status in InstanceStatus if status.is_terminal}
    assert terminal == {
        InstanceStatus.COMPLETED,
        InstanceStatus.FAILED,
        InstanceStatus.CANCELED,
        InstanceStatus.EXPIRED,
    }


@pytest.mark.parametrize(
    "word", ["active", "inactive", "paused", "publishing", "unpublishing", "archived", "archiving"]
)
def test_each_workflow_state_is_known(word):
    assert workflow_status(word.title()) is WorkflowStatus(word)


@pytest.mark.parametrize("word", ["Deployed", "Not Deployed", "", None, "unknown"])
def test_other_workflow_states_are_unknown(word):
    assert workflow_status(word) is WorkflowStatus.UNKNOWN


@given(raw=st.text())
def test_no_text_can_break_the_vocabulary(raw):
    assert instance_status(raw) in InstanceStatus
    assert workflow_status(raw) in WorkflowStatus


@pytest.mark.parametrize(
    ("environment", "url", "fits"),
    [
        (DEMO, "https://apps-d.docusign.com/api/maestro/v1/accounts/x?mtsec=y", True),
        (PRODUCTION, "https://apps.docusign.com/", True),
        (PRODUCTION, "https://apps-d.docusign.com/", False),
        (PRODUCTION, "http://apps.docusign.com/", False),
        (PRODUCTION, "https://apps.docusign.com@evil.test/", False),
        (PRODUCTION, "https://apps.docusign.com:8443/", False),
        (PRODUCTION, "javascript:alert(1)//apps.docusign.com", False),
        (simulator_environment("http://127.0.0.1:9000"), "http://127.0.0.1:9000/api/maestro/", True),
        (simulator_environment("http://127.0.0.1:9000"), "http://127.0.0.1:9001/api/maestro/", False),
    ],
)
def test_a_link_is_only_offered_on_docusigns_own_pages(environment, url, fits):
    """O-16: the host of an instance link is on a list."""
    assert is_app_url(environment, url) is fits


def test_the_public_names_are_the_ones_exported():
    exported = {name for name in maestro_api.__all__ if hasattr(maestro_api, name)}
    assert exported == set(maestro_api.__all__)
    assert sorted(maestro_api.__all__, key=str.lower) == sorted(set(maestro_api.__all__), key=str.lower)


def test_the_tree_in_the_docstring_is_the_tree_of_classes():
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, MaestroError)]
    parents = {}
    path = ["MaestroError"]
    for line in errors.__doc__.splitlines():
        if "──" in line:
            depth = line.index("──") // 4
            name = line.split("──")[1].split()[0]
            path[depth:] = [name]
            parents[name] = path[depth - 1]
    assert parents == {each.__name__: each.__bases__[0].__name__ for each in classes if each is not MaestroError}


def test_every_error_has_a_sentence_for_people():
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, MaestroError)]
    for each in classes:
        assert each.sentence.endswith(".")
        assert "please" not in each.sentence.lower()
        assert "!" not in each.sentence
