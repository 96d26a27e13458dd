"""Measures how fast rows are taken in, against decoding plus a bare bulk upsert of the same rows; in a process of its own.

`python -m tests.benchmarks.sync_rows` prints two ratios as JSON: for rows that are new, and for rows that stayed the same.
"""

import json
import time

import django

django.setup()

from django.core.management import call_command  # noqa: E402  # models can be imported only once Django is set up
from django.db import connection, transaction  # noqa: E402

from dashboard.models import Account, Instance, InstanceChange, Workflow, bucket_of  # noqa: E402
from dashboard.services import findable  # noqa: E402
from dashboard.services.instances import CHUNK, apply_instances, uuid_of  # noqa: E402
from maestro_api import Instance as ApiInstance  # noqa: E402
from maestro_api.decoding import instances_of, members_of, rows_of  # noqa: E402
from maestro_api.simulator import MAIN_ACCOUNT_ID, SimRequest, Simulator  # noqa: E402

ROWS = 20_000
WORKFLOWS = 200
PAGE = 1000
ROUNDS = 3
LIST = InstanceChange.Source.LIST
COLUMNS = (
    *("started_at", "started_by", "started_by_name", "started_by_role", "last_modified_at", "ended_at", "canceled_at"),
    *("canceled_by", "expires_at", "total_steps", "last_completed_step", "last_completed_step_name"),
)


def bodies() -> list[bytes]:
    """The pages of the account's list, as the simulator sends them."""
    simulator = Simulator(seed=1, workflows=WORKFLOWS, instances=ROWS, base_url="http://127.0.0.1:9000")
    headers = {"Authorization": f"Bearer {simulator.token('Ada Admin')['access_token']}"}
    root, found, query = f"/v1/accounts/{MAIN_ACCOUNT_ID}/workflow-instances?page_size={PAGE}", [], ""
    while True:
        body = simulator.handle(SimRequest("GET", root + query, headers, b"")).body
        found.append(bytes(body))
        ctoken = json.loads(body).get("ctoken")
        if not ctoken:
            return found
        query = f"&ctoken={ctoken}"


def decoded(body: bytes) -> tuple[ApiInstance, ...]:
    return instances_of(rows_of(members_of(body), "instances"))[0]


def plain(account: Account, answer: ApiInstance) -> Instance:
    """The same row without any thought: no comparing, no counts, no searchable name."""
    told = {name: value for name in COLUMNS if (value := getattr(answer, name)) is not None}
    name, status = answer.name or "", answer.status.value
    return Instance(
        pk=uuid_of(answer.id), account=account, workflow_id=uuid_of(answer.workflow_id), name=name, full_name=name,
        name_order=findable.order_of(name), starter_order=findable.order_of(told.get("started_by_name", "")),
        status=status, bucket=bucket_of(status), raw_status=answer.raw_status, trigger_inputs=answer.trigger_inputs,
        tags=list(answer.tags), metadata=answer.metadata, sort_at=answer.last_modified_at or answer.started_at, **told,
    )  # fmt: skip


def upserted(account: Account, pages: list[bytes]) -> float:
    columns = [field.name for field in Instance._meta.concrete_fields if field.name not in ("id", "first_seen_at")]
    start = time.perf_counter()
    for body in pages:
        rows = [plain(account, answer) for answer in decoded(body)]
        for place in range(0, len(rows), CHUNK):
            with transaction.atomic():
                Instance.objects.bulk_create(
                    rows[place : place + CHUNK], update_conflicts=True, unique_fields=["id"], update_fields=columns
                )
    return time.perf_counter() - start


def taken_in(account: Account, pages: list[bytes]) -> float:
    start = time.perf_counter()
    for body in pages:
        apply_instances(account, decoded(body), source=LIST)
    return time.perf_counter() - start


def main() -> None:
    call_command("migrate", verbosity=0)
    account = Account.objects.create(pk=MAIN_ACCOUNT_ID, environment="simulator", name="Throughput")
    pages = bodies()
    homes = {uuid_of(answer.workflow_id) for body in pages for answer in decoded(body)}
    Workflow.objects.bulk_create(Workflow(pk=pk, account=account) for pk in homes)
    new, same = [], []
    for _ in range(ROUNDS):
        Instance.objects.all().delete()
        bare = upserted(account, pages)
        Instance.objects.all().delete()
        new.append(bare / taken_in(account, pages))
        bare = upserted(account, pages)
        same.append(bare / taken_in(account, pages))
    print(json.dumps({"name": "new_rows", "value": sorted(new)[ROUNDS // 2]}))
    print(json.dumps({"name": "unchanged_rows", "value": sorted(same)[ROUNDS // 2]}))
    print(json.dumps({"name": "rows", "value": Instance.objects.count(), "vendor": connection.vendor}))


if __name__ == "__main__":
    main()
