"""Fills the accounts. Rule: the same seed gives the same workflows and instances, quickly enough for a million."""

from __future__ import annotations

import random

from . import instances as column
from .catalog import CATALOG, REGIONS
from .movement import Movement
from .people import MAIN_ACCOUNT_ID, OTHER_ACCOUNT_ID, SECOND_ACCOUNT_ID
from .quirks import INSTANCE_QUIRKS, QUIRKS
from .state import Workflow, World

BULK_FROM = 20_000
ODD = "Zz"
SMALL_MIX = (
    (column.COMPLETED, 52),
    (column.IN_PROGRESS, 24),
    (column.CANCELED, 9),
    (column.FAILED, 8),
    (column.EXPIRED, 5),
    (column.CREATED, 2),
)
BULK_MIX = (
    (column.COMPLETED, 80),
    (column.IN_PROGRESS, 4),
    (column.CANCELED, 8),
    (column.FAILED, 5),
    (column.EXPIRED, 3),
)


def seed_world(world: World, movement: Movement, *, workflows: int, instances: int) -> None:
    """The main account gets what was asked for; the two others get a few of their own."""
    add_data(world, movement, MAIN_ACCOUNT_ID, workflows=workflows, instances=instances)
    for account_id, first in ((SECOND_ACCOUNT_ID, 4), (OTHER_ACCOUNT_ID, 5)):
        owner = _members(world, account_id)[0]
        for definition in (CATALOG[first], CATALOG[first + 2]):
            world.add_workflow(definition, account_id, owner=owner)
        _add_instances(world, movement, account_id, 24)


def add_data(world: World, movement: Movement, account_id: str, *, workflows: int, instances: int) -> None:
    """More workflows and, spread over all the active ones of the account, more instances."""
    have = sum(1 for workflow in world.workflows if workflow.account_id == account_id)
    members = _members(world, account_id)
    definitions = CATALOG + QUIRKS if account_id == MAIN_ACCOUNT_ID else CATALOG
    for number in range(have, have + workflows):
        definition = definitions[number] if number < len(definitions) else CATALOG[number % (len(CATALOG) - 1)]
        turn, place = divmod(max(number - len(definitions), 0), len(REGIONS))
        name = (
            None
            if number < len(definitions)
            else f"{definition.name} – {REGIONS[place]}" + (f" {turn + 1}" if turn else "")
        )
        workflow = world.add_workflow(definition, account_id, name=name, owner=members[0])
        if definition is QUIRKS[1]:
            workflow.url = "https://apps.docusign.com.evil.example/api/maestro/start?mtid=1&mtsec=2"
            workflow.method = "GET"
    _add_instances(world, movement, account_id, instances)


def _members(world: World, account_id: str) -> list[str]:
    people = [p.sub for p in world.people.values() if account_id in p.account_ids and p.level_for(account_id) != "none"]
    return people or [world.stable_id("stranger", 0)]


def _add_instances(world: World, movement: Movement, account_id: str, count: int) -> None:
    targets = [workflow for workflow in world.workflows if workflow.account_id == account_id]
    if not targets or count <= 0:
        return
    shares = _shares(targets, count)
    chance = random.Random(f"{world.seed}:{len(world.instances)}:{account_id}")
    starters = [world.starter_number(sub) for sub in _members(world, account_id)]
    bulk = count >= BULK_FROM
    for workflow, share in zip(targets, shares, strict=True):
        first = len(world.instances)
        planned = _fill(world, workflow, share, starters, chance, bulk=bulk)
        movement.plan_many(planned)
        if workflow.name == QUIRKS[0].name:
            _spoil(world, first, share)


def _shares(targets: list[Workflow], count: int) -> list[int]:
    """How many instances each workflow gets: uneven as in life, and of the odd ones only as many as there are oddities."""
    weights = [0 if workflow.name.startswith(ODD) else 1 + (7 * (workflow.number + 3)) % 5 for workflow in targets]
    few = [min(len(INSTANCE_QUIRKS), count // 20) if workflow.name.startswith(ODD) else 0 for workflow in targets]
    rest = count - sum(few)
    shares = [int(rest * weight / sum(weights)) + extra for weight, extra in zip(weights, few, strict=True)]
    shares[0] += count - sum(shares)
    return shares


def _fill(
    world: World, workflow: Workflow, count: int, starters: list[int], chance: random.Random, *, bulk: bool
) -> list[tuple[float, int]]:
    """Rows in the order in which they were started; gives back what will happen to the running ones."""
    now = world.clock.now()
    first = len(world.instances)
    oldest = min(workflow.life_seconds * 2, 150 * 86_400)
    codes = [code for code, share in (BULK_MIX if bulk else SMALL_MIX) for _ in range(share)]
    status = bytearray(chance.choices(codes, k=count))
    started = [now - oldest * (1 - (index + 0.5) / count) for index in range(count)]
    steps = len(workflow.steps)
    step = bytearray(count)
    modified = [0.0] * count
    planned: list[tuple[float, int]] = []
    draw = chance.random
    for index in range(count):
        begun, code, luck = started[index], status[index], draw()
        ends = begun + workflow.life_seconds
        if code == column.COMPLETED:
            step[index] = steps
            modified[index] = begun + (min(now, ends) - begun) * luck * 0.6
        elif code in (column.IN_PROGRESS, column.CREATED):
            if ends <= now + 3600:
                begun = started[index] = now - workflow.life_seconds * luck * 0.9
                ends = begun + workflow.life_seconds
            step[index] = 0 if code == column.CREATED else int(luck * steps)
            modified[index] = begun + (now - begun) * luck * 0.5
            soon = now + 60 + 3600 * luck if index % 3 == 0 else ends
            planned.append((min(soon, ends), first + index))
        elif code == column.EXPIRED:
            if ends > now:
                begun = started[index] = begun - workflow.life_seconds
                ends = begun + workflow.life_seconds
            step[index] = int(luck * steps)
            modified[index] = ends
        else:
            step[index] = int(luck * steps)
            modified[index] = begun + (min(now, ends) - begun) * luck * 0.4
    who = bytes(chance.choices(starters, k=count))
    world.instances.extend(workflow.number, workflow.account_id, bytes(status), bytes(step), who, started, modified)
    return planned


def _spoil(world: World, first: int, count: int) -> None:
    data = world.instances
    for row, (members, omitted) in zip(range(first, first + count), INSTANCE_QUIRKS, strict=False):
        name = members.get("name")
        if isinstance(name, str):
            data.names[row] = name
        rest = {member: value for member, value in members.items() if member != "name"}
        if rest:
            data.extra[row] = rest
        if omitted:
            data.omitted[row] = omitted
