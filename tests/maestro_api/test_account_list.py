"""The account-level list: paging with a loop guard, probing, and the renamed members."""

import pytest

from maestro_api import (
    InstanceStatus,
    PagingLoop,
)
from tests.maestro_api.conftest import API, INSTANCE, USER, WORKFLOW

ACCOUNT_LIST = f"{API}/workflow-instances"
SEED_ROW = {"id": INSTANCE, "name": "n", "workflow_status": "In Progress", "template_id": WORKFLOW}


def test_the_renamed_variant_of_the_account_list_is_read(docusign, client):
    renamed = {"instance_id": INSTANCE, "instance_name": "n", "status": "Canceled", "workflow_definition_id": WORKFLOW}
    docusign.get(
        ACCOUNT_LIST,
        json={"instances": [SEED_ROW, renamed], "total_set_size": "7", "result_set_size": 2, "ctoken": "next"},
    )
    page = client.list_account_instances(
        workflow_ids=[WORKFLOW, INSTANCE], started_by_id=USER, page_size=2, status="x y"
    )
    assert [(each.id, each.workflow_id) for each in page] == [(INSTANCE, WORKFLOW)] * 2
    assert (page.items[1].name, page.items[1].status) == ("n", InstanceStatus.CANCELED)
    assert (page.total_set_size, page.result_set_size, page.ctoken) == (7, 2, "next")
    assert docusign.calls[0].request.url.partition("?")[2] == (
        f"started_by_id={USER}&workflow_definition_id={WORKFLOW}&workflow_definition_id={INSTANCE}&status=x%20y&page_size=2"
    )


def pages(docusign, *tokens):
    for token in tokens:
        docusign.get(ACCOUNT_LIST, json={"instances": [SEED_ROW], "ctoken": token})


@pytest.mark.parametrize("last", [None, ""])
def test_pages_are_followed_to_the_end(docusign, client, last):
    pages(docusign, "a", "b&c=d", last)
    assert len(list(client.iter_account_instances())) == 3
    assert docusign.calls[2].request.url.endswith("?ctoken=b%26c%3Dd")


def test_a_repeated_page_token_stops_the_iteration(docusign, client):
    pages(docusign, "a", "b", "a")
    seen = []
    with pytest.raises(PagingLoop):
        seen.extend(client.iter_account_instances())
    assert len(seen) == 3
    assert len(docusign.calls) == 3


def test_an_endless_list_stops_at_the_page_cap(docusign, client):
    pages(docusign, *map(str, range(10)))
    with pytest.raises(PagingLoop):
        list(client.iter_account_instances(max_pages=5))
    assert len(docusign.calls) == 5


@pytest.mark.parametrize(("status", "known"), [(200, True), (404, False), (405, False)])
def test_the_account_list_is_probed_once(docusign, client, status, known):
    docusign.get(ACCOUNT_LIST, json={"instances": []} if status == 200 else {}, status=status)
    assert [client.supports_account_list(), client.supports_account_list()] == [known, known]
    assert len(docusign.calls) == 1


@pytest.mark.parametrize(("status", "manages"), [(200, True), (403, False), (404, None), (405, None)])
def test_managing_is_proven_by_asking_for_a_stranger(docusign, client, status, manages):
    docusign.get(ACCOUNT_LIST, json={"instances": []} if status == 200 else {}, status=status)
    assert client.manages_account(USER) is manages
    assert f"started_by_id={USER}" not in docusign.calls[0].request.url
