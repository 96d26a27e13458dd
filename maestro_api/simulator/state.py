"""Everything the simulated Docusign knows. Rule: whoever reads or changes it holds `lock`, and holds it briefly."""

from __future__ import annotations

import hashlib
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from .catalog import SAMPLES, Definition
from .clock import Clock
from .instances import Instances
from .people import ACCOUNTS, Account, Person

VARIANTS = 48
MOST_STARTERS = 254


@dataclass(slots=True)
class Workflow:
    """A published (or not) workflow; `status` is what it really is, `Settings.paused_as` how a paused one is listed."""

    number: int
    id: str
    account_id: str
    name: str
    status: str
    steps: tuple[str, ...]
    life_seconds: float
    input_schema: list[dict[str, Any]]
    samples: tuple[tuple[str, str], ...]
    about: str
    created_at: float
    created_by: str
    modified_at: float
    modified_by: str | None
    trigger_id: str
    method: str = "POST"
    url: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    seeded_name: str = ""
    variants: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)


@dataclass(slots=True)
class Settings:
    """Behaviours that are switched by the control call /profile; the defaults are what is documented or most likely."""

    profile: str = "spec107"
    paused_as: str = "paused"
    hidden_as: int = 404
    repeat_action: int = 409
    blocked_trigger: int = 400
    account_list: bool = True
    account_list_shape: str = "instance"
    page_size: int = 100
    page_size_max: int = 1000
    list_pages_exact: int = 50_000
    name_limit: int | None = None
    name_form: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None
    step_seconds: tuple[float, float] = (20.0, 90.0)
    moving: bool = True
    fail_percent: int = 5
    expired_as: str = "Expired"
    access_seconds: int = 28_800
    refresh_days: float = 30
    code_seconds: int = 300
    rotation: bool = True
    reuse_detection: bool = True
    userinfo_limit: int = 30
    latency_ms: float = 0


class World:
    """The accounts, people, workflows and instances, with the clock that moves them."""

    def __init__(self, *, seed: int, people: list[Person], base_url: str) -> None:
        self.lock = threading.RLock()
        self.clock = Clock()
        self.seed = seed
        self.base_url = base_url.rstrip("/")
        self.settings = Settings()
        self.accounts: dict[str, Account] = {account.id: account for account in ACCOUNTS}
        self.people: dict[str, Person] = {person.sub: person for person in people}
        self.starters: list[str] = list(self.people)
        self.workflows: list[Workflow] = []
        self.workflow_numbers: dict[str, int] = {}
        self.instances = Instances(seed)

    def stable_id(self, kind: str, number: int) -> str:
        digest = hashlib.sha256(f"{self.seed}:{kind}:{number}".encode()).digest()
        return str(UUID(bytes=digest[:16], version=4))

    def add_workflow(self, definition: Definition, account_id: str, *, name: str | None = None, owner: str) -> Workflow:
        number = len(self.workflows)
        workflow_id = self.stable_id("workflow", number)
        created = self.clock.now() - 86_400 * (200 - number % 60) - 977 * number
        workflow = Workflow(
            number=number,
            id=workflow_id,
            account_id=account_id,
            name=name or definition.name,
            status=definition.status,
            steps=definition.steps,
            life_seconds=definition.life_days * 86_400,
            input_schema=[item.schema() for item in definition.fields],
            samples=tuple((item.name, item.sample) for item in definition.fields),
            about=definition.about,
            created_at=created,
            created_by=owner,
            modified_at=created + 86_400 * (number % 50 + 1),
            modified_by=None if number % 3 == 2 else owner,
            trigger_id=self.stable_id("trigger", number),
            seeded_name=(name or definition.name)[:80].strip(),
        )
        self.workflows.append(workflow)
        self.workflow_numbers[workflow_id] = number
        return workflow

    def workflow(self, workflow_id: str) -> Workflow | None:
        number = self.workflow_numbers.get(workflow_id.strip("{}").lower())
        return None if number is None else self.workflows[number]

    def workflow_of(self, row: int) -> Workflow:
        return self.workflows[self.instances.workflow[row]]

    def listed_status(self, workflow: Workflow) -> str:
        return self.settings.paused_as if workflow.status == "paused" else workflow.status

    def person(self, name: str) -> Person | None:
        for person in self.people.values():
            if name in (person.name, person.sub):
                return person
        return None

    def starter_number(self, sub: str) -> int:
        if sub not in self.starters:
            if len(self.starters) > MOST_STARTERS:
                raise ValueError("The simulator knows no more than 255 people.")
            self.starters.append(sub)
        return self.starters.index(sub)

    def expires_at(self, row: int) -> float:
        return self.instances.started[row] + self.workflow_of(row).life_seconds

    def stored_name(self, name: str) -> str:
        """What Docusign would keep of a name: all of it, unless a test wants it trimmed or normalised."""
        if self.settings.name_form:
            name = unicodedata.normalize(self.settings.name_form, name)
        return name if self.settings.name_limit is None else name[: self.settings.name_limit]

    def name_of(self, row: int) -> str:
        own = self.instances.names.get(row)
        if own is not None:
            return own
        return self.variant(self.instances.workflow[row], self.instances.stir(row) % VARIANTS)[0]

    def inputs_of(self, row: int) -> dict[str, Any]:
        """What a seeded instance was triggered with, worked out from its number."""
        own = self.instances.inputs.get(row)
        if own is not None:
            return own
        return self.variant(self.instances.workflow[row], self.instances.stir(row) % VARIANTS)[1]

    def variant(self, number: int, pick: int) -> tuple[str, dict[str, Any]]:
        """Name and inputs of one kind of seeded instance; a workflow has some dozens of kinds."""
        workflow = self.workflows[number]
        found = workflow.variants.get(pick)
        if found is None:
            values = SAMPLES[workflow.about]
            name = f"{workflow.seeded_name} · {values[pick % len(values)]}"
            inputs = {name: SAMPLES[sample][pick % len(SAMPLES[sample])] for name, sample in workflow.samples}
            found = workflow.variants[pick] = name, inputs
        return found
