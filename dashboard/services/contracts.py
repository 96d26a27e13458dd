"""Contracts: what a workflow asks for when it is triggered, every version of it, and what changed between two.

The one rule: the address that Docusign names is compared and noted, never stored and never called (E-1).
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from dashboard.models import Contract, Membership, Workflow
from dashboard.services.calls import calling, explained
from dashboard.services.instances import bump
from dashboard.services.quota import Lane
from maestro_api import MaestroClient, MaestroError, TriggerRequirements

LONGEST_VALUE = 60
HISTORY_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One difference between two versions; `field` is the input's name, `kind` one of added, removed, changed."""

    field: str
    sentence: str
    kind: str = "changed"


def read_contract(
    workflow: Workflow, *, membership: Membership, deadline: float | None = None, lane: Lane = Lane.PEOPLE
) -> Contract:
    """Ask Docusign (one call) and store the version it answered."""
    try:
        with calling(membership, deadline=deadline, lane=lane) as client:
            return ask(client, workflow)
    except MaestroError as error:
        raise explained(error) from error


def ask(client: MaestroClient, workflow: Workflow) -> Contract:
    """The one call, by whoever's client, and the version that it answered. Raises MaestroError."""
    answer = client.get_trigger_requirements(str(workflow.pk))
    notes = [*answer.differs_from(client.trigger_url(str(workflow.pk))), *answer.oddities]
    return _store(workflow, answer, notes)


def current_contract(workflow: Workflow) -> Contract | None:
    """The version that was seen last."""
    return Contract.objects.filter(workflow=workflow).order_by("-last_seen_at", "-pk").first()


def history(workflow: Workflow) -> list[tuple[Contract, list[ContractChange]]]:
    """The latest versions, newest first, each with what it changed from the one before it."""
    rows = Contract.objects.filter(workflow=workflow).order_by("-first_seen_at", "-pk")
    versions = list(rows[: HISTORY_SHOWN + 1])
    pairs = zip(versions, [*versions[1:], None], strict=False)
    return [(new, diff(old, new) if old else []) for new, old in pairs][:HISTORY_SHOWN]


def count_versions(workflow: Workflow) -> int:
    """How many versions there were so far."""
    return Contract.objects.filter(workflow=workflow).count()


def diff(old: Contract, new: Contract) -> list[ContractChange]:
    """What a person who filled the old form should know about the new one."""
    before = {item["name"]: item for item in old.fields}
    after = {item["name"]: item for item in new.fields}
    gone = [name for name in before if name not in after]
    changes = [ContractChange(name, f"“{name}” is no longer asked for.", "removed") for name in gone]
    for name, item in after.items():
        if name not in before:
            changes.append(ContractChange(name, f"“{name}” is new ({item['kind']}{_must(item)}).", "added"))
        else:
            changes += [ContractChange(name, sentence) for sentence in _moved(name, before[name], item)]
    common = [name for name in before if name in after]
    if not changes and common != [name for name in after if name in before]:
        changes.append(ContractChange("", "The inputs are asked for in another order."))
    return changes


def _must(item: dict[str, Any]) -> str:
    return ", with a default" if item["has_default"] else ", required"


def _moved(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found = []
    if old["data_type"] != new["data_type"]:
        found.append(f"“{name}” was {old['data_type'] or 'of no type'} and is now {new['data_type'] or 'of no type'}.")
    if old["has_default"] and not new["has_default"]:
        found.append(f"“{name}” has no default any more, so it is required.")
    elif new["has_default"] and not old["has_default"]:
        found.append(f"“{name}” now has the default {_short(new['default'])}.")
    elif old["default"] != new["default"]:
        found.append(f"The default of “{name}” was {_short(old['default'])} and is now {_short(new['default'])}.")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def digest_of(fields: list[dict[str, Any]], event_type: str) -> str:
    """The fingerprint of a version: inputs with types and defaults, in order."""
    text = json.dumps([fields, event_type], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _store(workflow: Workflow, answer: TriggerRequirements, notes: list[str]) -> Contract:
    fields = [
        {
            "name": item.name,
            "data_type": item.data_type,
            "kind": item.kind,
            "default": item.default,
            "has_default": item.has_default,
            "is_system": item.is_system,
        }
        for item in answer.fields
    ]
    event_type = (answer.event_type or "")[:64]
    now = timezone.now()
    digest = digest_of(fields, event_type)
    with transaction.atomic():
        # One writer a workflow, so that two readings of something new make one version.
        Workflow.objects.select_for_update(no_key=True).only("pk").get(pk=workflow.pk)
        contract = current_contract(workflow)
        is_known = contract is not None and contract.digest == digest
        if contract is not None and is_known:
            contract.notes, contract.last_seen_at = notes, now
            contract.save(update_fields=["notes", "last_seen_at"])
        else:
            contract = Contract.objects.create(
                workflow=workflow,
                digest=digest,
                fields=fields,
                notes=notes,
                event_type=event_type,
                first_seen_at=now,
                last_seen_at=now,
            )
        Workflow.objects.filter(pk=workflow.pk).update(contract_read_at=now, contract_error="")
    if not is_known:
        bump(workflow.account_id)  # afterwards: the mirror's lock comes before a workflow's, never after it
    return contract
