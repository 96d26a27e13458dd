"""Workflows and instances full of everything odd that Docusign or its users may send. Rule: they come last in the seed."""

from __future__ import annotations

from typing import Any

from .catalog import Definition, Field

EVERY_TYPE = Definition(
    "Zz quirks: every input type",
    (
        Field("Title"),
        Field("nickname", "string", default=""),
        Field("fields.Manager.Full Name.value", sample="person", default="Grace Whitlock"),
        Field("Betrag in €", "Number", "amount", 12.5),
        Field("count", "number", "months"),
        Field("Approved", "Boolean", "flag", False),
        Field("consent", "boolean", "flag"),
        Field("Due", "Date", "date", "2026-06-30"),
        Field("meeting", "datetime", "moment"),
        Field("address", "object", "address", {"street": "18 Harbor Street", "city": "Bristol"}),
        Field("tags", "array", "systems", ["a", "b"]),
        Field("signature image", "File", default="none"),
        Field("choice", "RadioGroup", default="first"),
        Field("<b>bold</b> & \"quoted\"", default="<script>alert(1)</script>"),
        Field("אבג ชื่อ 名前"),
        Field("startDate", "Date", "date"),
        Field("dacId", "String", "word"),
    ),
    ("First <i>step</i>", "Second step", "Dritter Schritt 🖋️"),
)  # fmt: skip

HOSTILE_NAME = Definition(
    "Zz <img src=x onerror=alert(1)> \u202egnp.evil\u202c 🧪 " + "very long name " * 30,
    (Field("Email", sample="email"),),
    tuple(f"Step {number}" for number in range(1, 41)),
    life_days=60,
)

QUIRKS = (EVERY_TYPE, HOSTILE_NAME)

INSTANCE_QUIRKS: tuple[tuple[dict[str, Any], frozenset[str]], ...] = (
    ({"workflow_status": "Awaiting Sync"}, frozenset()),
    ({"workflow_status": "in_progress", "name": "Zz status spelled otherwise"}, frozenset()),
    ({"workflow_status": "Cancelled", "canceled_by": "", "canceled_at": None}, frozenset()),
    ({"name": "Zz nothing optional"}, frozenset({"tags", "metadata", "ended_at", "canceled_at", "canceled_by", "expires_at",
      "last_completed_step_name", "started_by_name", "started_by_role", "trigger_inputs", "total_steps", "last_completed_step"})),
    ({"name": "Zz trigger_input without s", "trigger_input": {"Email": "mei.chen@example.com"}}, frozenset({"trigger_inputs"})),
    ({"name": "Zz seven digits", "last_modified_at": "2026-01-31T22:36:03.7781299Z"}, frozenset()),
    ({"name": "Zz other offset", "started_at": "2026-01-31T22:15:07.941+02:00"}, frozenset()),
    ({"name": "Zz no steps", "total_steps": 0, "last_completed_step": 0, "last_completed_step_name": None}, frozenset()),
    ({"name": "Zz many steps", "total_steps": 100000, "last_completed_step": 99999, "last_completed_step_name": None}, frozenset()),
    ({"name": "Zz 🧾 emoji & <script>alert('x')</script>"}, frozenset()),
    ({"name": "\u202eZz right to left שלום مرحبا\u202c"}, frozenset()),
    ({"name": "Zz " + "long " * 99 + "x"}, frozenset()),
    ({"name": "=cmd|' /C calc'!A0"}, frozenset()),
    ({"name": "Zz running with an end", "workflow_status": "In Progress", "ended_at": "2026-01-31T22:36:03.100+00:00",
      "canceled_at": "2026-01-31T22:36:03.100+00:00", "canceled_by": ""}, frozenset()),
    ({"name": "Zz tagged", "tags": ["blue", "<i>x</i>", ""]}, frozenset()),
    ({"name": "Zz member of the future", "priority": {"level": 3}, "started_by_role": "Bystander"}, frozenset()),
)  # fmt: skip
