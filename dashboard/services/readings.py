"""What Docusign shows after a cancel, pause or resume, set against what was wanted.

The one rule: only the state that Docusign shows counts, never the text of its answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from dashboard.models import InstanceChange, InstanceState, Membership, Operation, OperationKind, WorkflowState
from dashboard.models.instance import INSTANCE_LOOKS
from dashboard.models.workflow import WORKFLOW_LOOKS
from dashboard.services.calls import calling, is_denial
from dashboard.services.errors import ServiceError
from dashboard.services.instances import apply_instance, uuid_of
from dashboard.services.quota import Lane
from dashboard.services.workflows import apply_workflows
from maestro_api import ActionResult, Instance, InstanceStatus, MaestroClient, MaestroError, Workflow, WorkflowStatus

Kind = OperationKind
GOALS = {Kind.PAUSE: WorkflowState.PAUSED, Kind.RESUME: WorkflowState.ACTIVE}
ENDED = (WorkflowStatus.ARCHIVED, WorkflowStatus.ARCHIVING, WorkflowStatus.UNPUBLISHING)


class Verdict(Enum):
    """Whether the wanted state is there, cannot come any more, is not there yet; or why that cannot be told."""

    REACHED = auto()
    TOO_LATE = auto()
    NOT_YET = auto()
    SILENT = auto()
    UNREAD = auto()
    DENIED = auto()


@dataclass(frozen=True, slots=True)
class Words:
    """The deed in sentences: done just now, done before, or found done after a doubtful answer."""

    done: str
    already: str
    shown: str
    accepted: str
    pending: str


WORDS = {
    Kind.CANCEL: Words(
        "The instance is canceled.",
        "It was already canceled.",
        "Docusign's answer was lost, but it shows the instance as canceled.",
        "Docusign accepted the cancel.",
        "Docusign accepted the cancel, but does not show it yet; this console looks again.",
    ),
    Kind.PAUSE: Words(
        "The workflow is paused: no new instances start, running ones go on.",
        "It was already paused.",
        "Docusign's answer was lost, but it shows the workflow as paused.",
        "Docusign accepted the pause; its list does not say so.",
        "Docusign accepted the pause, but does not show it yet; this console looks again.",
    ),
    Kind.RESUME: Words(
        "The workflow is active again: new instances may start.",
        "It was already active.",
        "Docusign's answer was lost, but it shows the workflow as active.",
        "Docusign accepted the resume; its list does not say so.",
        "Docusign accepted the resume, but does not show it yet; this console looks again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A verdict, the sentences for it, and how to take what was read into the mirror."""

    kind: OperationKind
    verdict: Verdict
    label: str = ""
    taken: Callable[[], object] | None = None

    def apply(self) -> None:
        """Take what was read into the mirror, inside the caller's transaction."""
        if self.taken is not None:
            self.taken()

    @property
    def done(self) -> str:
        return WORDS[self.kind].done

    @property
    def already(self) -> str:
        return WORDS[self.kind].already

    @property
    def shown(self) -> str:
        return WORDS[self.kind].shown

    @property
    def accepted(self) -> str:
        return WORDS[self.kind].accepted

    @property
    def pending(self) -> str:
        return WORDS[self.kind].pending

    @property
    def too_late(self) -> str:
        return f"Too late: it is {self.label.lower()}. Nothing was changed."


def send(client: MaestroClient, operation: Operation) -> ActionResult:
    """The one call of the operation."""
    workflow_id = str(operation.workflow_id)
    if operation.kind == Kind.CANCEL:
        return client.cancel_instance(workflow_id, str(operation.instance_id))
    if operation.kind == Kind.PAUSE:
        return client.pause_workflow(workflow_id)
    return client.resume_workflow(workflow_id)


def read_back(operation: Operation, membership: Membership, *, deadline: float, lane: Lane = Lane.PEOPLE) -> Reading:
    """One fresh read with the same person's token; never raises."""
    kind = Kind(operation.kind)
    try:
        with calling(membership, deadline=deadline, lane=lane) as client:
            if kind == Kind.CANCEL:
                instance = client.get_instance(str(operation.workflow_id), str(operation.instance_id))
                return _of_instance(operation, instance)
            return _of_workflow(operation, client.list_workflows().items)
    except MaestroError as error:
        return Reading(kind, Verdict.DENIED if is_denial(error) else Verdict.UNREAD)
    except ServiceError:
        return Reading(kind, Verdict.UNREAD)


def _of_instance(operation: Operation, answer: Instance) -> Reading:
    if uuid_of(answer.id) != operation.instance_id:
        return Reading(Kind.CANCEL, Verdict.UNREAD)
    verdict = Verdict.TOO_LATE if answer.status.is_terminal else Verdict.NOT_YET
    if answer.status == InstanceStatus.CANCELED:
        verdict = Verdict.REACHED
    look = INSTANCE_LOOKS.get(InstanceState(answer.status.value))

    def take() -> None:
        apply_instance(operation.account, answer, source=InstanceChange.Source.READ)

    return Reading(Kind.CANCEL, verdict, look.label if look else answer.raw_status, take)


def _of_workflow(operation: Operation, answers: tuple[Workflow, ...]) -> Reading:
    kind = Kind(operation.kind)
    answer = next((item for item in answers if uuid_of(item.id) == operation.workflow_id), None)
    if answer is None:
        return Reading(kind, Verdict.DENIED)
    look = WORKFLOW_LOOKS.get(WorkflowState(answer.status.value))

    def take() -> None:
        apply_workflows(operation.account, [answer])

    return Reading(kind, _verdict(operation, answer.status), look.label if look else answer.raw_status, take)


def _verdict(operation: Operation, status: WorkflowStatus) -> Verdict:
    if status in ENDED:
        return Verdict.TOO_LATE
    is_stopped = status in (WorkflowStatus.PAUSED, WorkflowStatus.INACTIVE)
    if operation.kind == Kind.PAUSE:
        return Verdict.REACHED if is_stopped else Verdict.NOT_YET
    # A list that called the workflow active while it was paused proves nothing by calling it active now.
    operation.workflow.refresh_from_db()
    is_silent = operation.workflow.is_paused_by_us and operation.workflow.status == WorkflowState.ACTIVE
    if status != WorkflowStatus.ACTIVE:
        return Verdict.NOT_YET
    return Verdict.SILENT if is_silent else Verdict.REACHED
