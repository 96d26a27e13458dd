"""docs/client.md tells the truth."""

import re
from pathlib import Path

import responses

import maestro_api
from maestro_api import errors
from tests.maestro_api.conftest import ACCOUNT, INSTANCE, WORKFLOW

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_ten_lines_run_as_they_stand(capsys):
    code = BLOCKS[0].replace("<account id>", ACCOUNT)
    base = f"https://api-d.docusign.com/v1/accounts/{ACCOUNT}/workflows"
    schema = [{"field_name": "Email", "field_data_type": "String"}]
    with responses.RequestsMock() as docusign:
        docusign.get(base, json={"data": [{"id": WORKFLOW, "name": "Onboarding", "status": "active"}]})
        docusign.get(f"{base}/{WORKFLOW}/trigger-requirements", json={"trigger_input_schema": schema})
        docusign.post(f"{base}/{WORKFLOW}/actions/trigger", json={"instance_id": INSTANCE}, status=201)
        docusign.get(f"{base}/{WORKFLOW}/instances/{INSTANCE}", json={"id": INSTANCE, "workflow_status": "In Progress"})
        exec(compile(code, "docs/client.md", "exec"), {})  # noqa: S102 - our own documentation
    assert capsys.readouterr().out == "Email string required\nin_progress\n"
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def test_every_name_in_the_examples_and_tables_exists():
    imported = {
        name.strip() for names in re.findall(r"from maestro_api import (.*)", TEXT) for name in names.split(",")
    }
    classes = set(re.findall(r"`([A-Z][A-Za-z]+)`", TEXT[TEXT.index("## Errors") : TEXT.index("## Guarantees")]))
    assert imported <= set(maestro_api.__all__)
    assert {name for name in classes if hasattr(errors, name)} == classes
    methods = set(re.findall(r"`([a-z_]+)[(`]", TEXT[TEXT.index("## Operations") : TEXT.index("Each method")]))
    assert methods <= set(dir(maestro_api.MaestroClient)) | {"bool"}
