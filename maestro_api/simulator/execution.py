"""The page behind `instance_url`, where a participant acts. Rule: `mtid` and `mtsec` are the key; without both it stays shut."""

from __future__ import annotations

import re
import secrets
from html import escape

from . import instances as column
from .api import link_secrets
from .messages import SimRequest, SimResponse
from .movement import Movement
from .pages import hidden, page
from .state import World

ROUTE = re.compile(r"^/api/maestro/v1/accounts/(?P<account>[^/]+)/instances/(?P<instance>[0-9a-fA-F-]{36})/execution$")


def execution(world: World, movement: Movement, request: SimRequest) -> SimResponse:
    match = ROUTE.match(request.route)
    row = world.instances.row_of(match["instance"]) if match else None
    if match is None or row is None or world.workflow_of(row).account_id != match["account"].lower():
        return page(404, "Not found", "<p>There is no such workflow instance.</p>")
    form = request.form() if request.method == "POST" else {}
    given = [form.get(name) or request.param(name) or "" for name in ("mtid", "mtsec")]
    expected = link_secrets(world, world.instances.id_of(row))
    matches = [
        secrets.compare_digest(mine.encode(), theirs.encode()) for mine, theirs in zip(expected, given, strict=True)
    ]
    if not all(matches):
        return page(403, "This link is not valid", "<p>Ask the sender of the link for a new one.</p>")
    action = form.get("action", "")
    if action == "close":
        return page(200, "Closed", "<p>You can come back to this link later.</p>")
    running = world.instances.status[row] in (column.CREATED, column.IN_PROGRESS)
    if running and action in ("complete", "fail"):
        status = column.COMPLETED if action == "complete" else column.FAILED
        movement.finish(row, status, world.clock.now())
        running = False
    return _page(world, row, running, dict(zip(("mtid", "mtsec"), given, strict=True)))


def _page(world: World, row: int, running: bool, key: dict[str, str]) -> SimResponse:
    workflow, step = world.workflow_of(row), world.instances.step[row]
    lines = f"<p>{escape(workflow.name)} · {escape(world.instances.raw_status(row))} · step {step} of {len(workflow.steps)}</p>"
    if running and step < len(workflow.steps):
        lines += f"<p>Now: {escape(workflow.steps[step])}</p>"
    names = ("Complete", "Fail", "Close") if running else ("Close",)
    buttons = " ".join(f'<button type="submit" name="action" value="{name.lower()}">{name}</button>' for name in names)
    form = f'<form method="post">{hidden(key)}{buttons}</form>'
    return page(200, world.name_of(row), lines + form)
