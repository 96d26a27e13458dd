"""The worker's entry points: each is one line that calls a service. Its one rule: a task takes ids and decides nothing."""

from django_tasks import task

from dashboard.services import worker_jobs


@task()
def sync_membership(membership_id: int, is_background: bool = False) -> None:
    worker_jobs.sync_membership(membership_id, is_background)


@task()
def sync_account(account_id: str) -> None:
    worker_jobs.sync_account(account_id)


@task()
def read_instance(instance_id: str, membership_id: int) -> None:
    worker_jobs.read_instance(instance_id, membership_id)


@task()
def read_contract(workflow_id: str, membership_id: int) -> None:
    worker_jobs.read_contract(workflow_id, membership_id)


@task()
def read_triggered(operation_id: str, instance_id: str) -> None:
    worker_jobs.read_triggered(operation_id, instance_id)


@task()
def apply_deliveries(account_id: str, lease: int) -> None:
    worker_jobs.apply_deliveries(account_id, lease)


@task()
def work_on_key_input(key_input_id: int) -> None:
    worker_jobs.work_on_key_input(key_input_id)


@task()
def settle_operation(operation_id: str) -> None:
    worker_jobs.settle_operation(operation_id)


@task()
def run_batch(batch_id: str) -> None:
    worker_jobs.run_batch(batch_id)


@task()
def read_due_contract(workflow_id: str) -> None:
    worker_jobs.read_due_contract(workflow_id)


@task()
def freeze_stop(batch_id: str) -> None:
    worker_jobs.freeze_stop(batch_id)
