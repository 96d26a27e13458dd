"""The filter of the list of instances, read from the address, and the columns that the list shows.

The one rule: a value that cannot be understood is told beside its field. It is never dropped in silence: where the list would
show other rows than were asked for, it shows none (`is_withheld`) or says what was left out (`problems`).
"""

from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from dashboard.forms.filters import SIZES, Chip, Filter, shortened
from dashboard.models import Membership, Workflow
from dashboard.services import people
from dashboard.services.instance_lists import ORDERS, TABS, Search, suggest_starters, suggest_workflows
from dashboard.services.visibility import own_id, visible_workflows
from dashboard.wording import date_text, plural

COLUMNS = {
    "name": "Name",
    "workflow": "Workflow",
    "state": "State",
    "steps": "Progress",
    "by": "Started by",
    "started": "Started",
    "changed": "Last changed",
    "expires": "Expires",
    "ended": "Ended",
    "origin": "Triggered",
    "id": "Instance ID",
    "last_step": "Last step done",
}
DEFAULT_COLUMNS = ("name", "workflow", "state", "steps", "by", "started", "changed", "expires")
DESCENDING_FIRST = frozenset({"started", "changed", "steps"})
SHORTEST_NAME = 3
DAYS = ("started_from", "started_until", "changed_from", "changed_until")
# Without these nothing can be listed that was asked for; the others narrow a list that makes sense without them.
LEADING = ("name", "workflow", "by", "key")
ADVANCED = (*DAYS, "expires", "steps", "origin")
ME = "me"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer of a typeahead: the value in the address, and how it reads."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of the filter that was not understood: its parameter, its label, and what to write instead."""

    name: str
    label: str
    text: str
    choices: list[Choice] = field(default_factory=list)


class SeveralValues(forms.Field):
    """A parameter that may come more than once."""

    widget = forms.MultipleHiddenInput


class DayField(forms.DateField):
    """A day in the person's zone."""

    widget = forms.DateInput(attrs={"type": "date"})

    def __init__(self, label: str) -> None:
        wrong = "This is no date. Write it like 2026-05-31."
        super().__init__(label=label, required=False, input_formats=["%Y-%m-%d"], error_messages={"invalid": wrong})

    def clean(self, value: Any) -> date | None:
        day: date | None = super().clean(value)
        if day and not FIRST_DAY <= day <= LAST_DAY:
            raise forms.ValidationError("Write a day between 2000-01-01 and 2999-12-31.")
        return day


def whole_number(label: str, most: int) -> forms.IntegerField:
    """A count of days or steps."""
    wrong = f"Write a whole number from 1 to {most:,}."
    messages = dict.fromkeys(("invalid", "min_value", "max_value"), wrong)
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, error_messages=messages)


class InstanceFilter(Filter):
    """Filters, order, size and columns of a list of instances; on the page of a workflow without the choice of one."""

    q = None  # type: ignore[assignment]  # Django's way to leave a field of the base out
    sorts = tuple(ORDERS)
    defaults = {"sort": "-changed", "size": 25, "state": "all"}
    sort = forms.CharField(label="Order", required=False, max_length=20)
    size = forms.TypedChoiceField(
        label="Rows a page",
        required=False,
        choices=[(size, size) for size in SIZES],
        coerce=int,
        empty_value=None,
        error_messages={"invalid_choice": "A page has 25, 50 or 100 rows."},
    )
    name = forms.CharField(label="Name", required=False, max_length=200)
    workflow = SeveralValues(label="Workflow", required=False)
    by = SeveralValues(label="Started by", required=False)
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[(key, word) for key, word, _tone in TABS],
        error_messages={"invalid_choice": "There is no such state."},
    )
    started_from = DayField("Started from")
    started_until = DayField("Started until")
    changed_from = DayField("Changed from")
    changed_until = DayField("Changed until")
    expires = whole_number("Expires within (days)", 3650)
    steps = whole_number("Steps done, at least", 1000)
    key = forms.CharField(label="Key input", required=False, max_length=700, strip=False)
    origin = forms.ChoiceField(
        label="Triggered",
        required=False,
        choices=[("", "Anywhere"), ("here", "Here"), ("elsewhere", "Elsewhere")],
        error_messages={"invalid_choice": "Choose one of those offered."},
    )
    cols = SeveralValues(label="Columns", required=False)

    def __init__(self, query: QueryDict, *, membership: Membership, workflow: Workflow | None = None) -> None:
        self.query = query
        self.membership = membership
        self.only = workflow
        self.choices: dict[str, list[Choice]] = {}
        self._workflows: dict[UUID, tuple[str, str]] = {}  # name, and how the address names it
        forms.Form.__init__(self, query, auto_id="filter-%s")
        if workflow:
            del self.fields["workflow"]
        self.full_clean()
        for name, errors in self.errors.as_data().items():
            if errors[0].code == "invalid" and name in (*DAYS, "expires", "steps"):
                self.fields[name].widget.input_type = "text"  # its own kind of field would show nothing at all

    # What the address said

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name and len(name) < SHORTEST_NAME:
            raise forms.ValidationError("Write three characters or more.")
        return name

    def clean_workflow(self) -> tuple[UUID, ...]:
        texts = _texts(self.cleaned_data["workflow"])
        asked = {id_: text for text in texts if (id_ := uuid_of(text))}
        known = visible_workflows(self.membership).filter(pk__in=asked) if asked else []
        found = {workflow.pk: (workflow.name, asked[workflow.pk]) for workflow in known}
        if len(found) < len(asked):
            raise forms.ValidationError("You see no workflow with this ID. Choose it by its name.")
        for text in texts:
            if not uuid_of(text):
                found |= self._workflow_called(text)
        self._workflows = found
        return tuple(found)

    def _workflow_called(self, text: str) -> dict[UUID, tuple[str, str]]:
        found = suggest_workflows(self.membership, text)
        exact = [workflow for workflow in found if workflow.name.casefold() == text.casefold()]
        only = exact if len(exact) == 1 else found
        if len(only) != 1:
            self.choices["workflow"] = [Choice(str(workflow.pk), workflow.name) for workflow in found]
            raise forms.ValidationError(_which(text, found, "workflow"))
        return {only[0].pk: (only[0].name, text)}

    def clean_by(self) -> str:
        texts = _texts(self.cleaned_data["by"])
        text = texts[-1] if texts else ""
        if not text or text.casefold() == ME:
            return text.casefold()
        if uuid_of(text):
            return text.lower()
        found = suggest_starters(self.membership, text)
        if len(found) != 1:
            self.choices["by"] = [Choice(starter.id, starter.name) for starter in found]
            raise forms.ValidationError(_which(text, found, "person"))
        return found[0].id

    def clean_key(self) -> tuple[str, str] | None:
        name, _, digest = self.cleaned_data["key"].rpartition(":")
        if not self.cleaned_data["key"]:
            return None
        if not name or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise forms.ValidationError("This address is broken. Search for the key input again.")
        return name, digest

    def clean_sort(self) -> str:
        return super().clean_sort() if self.cleaned_data["sort"] else ""

    def clean_cols(self) -> tuple[str, ...]:
        asked = {part.strip() for text in self.cleaned_data["cols"] or [] for part in text.split(",")} - {""}
        if unknown := asked - set(COLUMNS):
            raise forms.ValidationError(f"There is no column “{shortened(min(unknown))}”.")
        return tuple(key for key in COLUMNS if key in asked | {"name"}) if asked else ()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for what in ("started", "changed"):
            first, last = cleaned.get(f"{what}_from"), cleaned.get(f"{what}_until")
            if first and last and last < first:
                self.add_error(f"{what}_until", f"Write a day that is not before {date_text(first)}.")
        return cleaned

    # What the list makes of it

    def search(self, query: QueryDict) -> Search:
        """The filter as the services take it, on the page of the list that the address names."""
        said = self.cleaned_data
        by, days = said.get("by", ""), said.get("expires")
        return Search(
            name=said.get("name", ""),
            workflows=(self.only.pk,) if self.only else said.get("workflow", ()),
            state=self.value("state"),
            started_by=own_id(self.membership) if by == ME else by,
            started_from=self._begin(said.get("started_from")),
            started_until=self._begin(said.get("started_until"), days=1),
            changed_from=self._begin(said.get("changed_from")),
            changed_until=self._begin(said.get("changed_until"), days=1),
            expires_within=timedelta(days=days) if days else None,
            steps_done=said.get("steps"),
            key=said.get("key"),
            origin=said.get("origin", ""),
            sort=self.value("sort"),
            size=self.value("size"),
            after=query.get("after", ""),
            before=query.get("before", ""),
        )

    def _begin(self, day: date | None, *, days: int = 0) -> datetime | None:
        zone = ZoneInfo(self.membership.user.time_zone)
        return datetime.combine(day + timedelta(days=days), time.min, tzinfo=zone) if day else None

    @property
    def columns(self) -> list[str]:
        """The keys of the shown columns, in their order."""
        chosen = self.cleaned_data.get("cols") or DEFAULT_COLUMNS
        return [key for key in chosen if not (self.only and key == "workflow" and not self.cleaned_data.get("cols"))]

    @property
    def has_own_columns(self) -> bool:
        return bool(self.cleaned_data.get("cols"))

    @property
    def is_withheld(self) -> bool:
        """Whether rows would only mislead, since what they were to be found by was not understood."""
        return any(name in self.errors for name in LEADING)

    @property
    def problems(self) -> list[Problem]:
        """What was not understood, in the order of the form."""
        return [
            Problem(name, str(bound.label), " ".join(map(str, self.errors[name])), self.choices.get(name, []))
            for name, bound in self.fields.items()
            if name in self.errors
        ]

    @property
    def is_advanced(self) -> bool:
        """Whether one of the filters behind "More filters" is on, or wrong."""
        return any(self.cleaned_data.get(name) or name in self.errors for name in ADVANCED)

    @cached_property
    def chips(self) -> list[Chip]:
        """Each filter that is on, read once: the name of a person is asked for."""
        said = self.cleaned_data
        made = []
        if name := said.get("name"):
            made.append(Chip("name", f"Instance ID: {name}" if uuid_of(name) else f"Name has: {name}"))
        if said.get("workflow"):
            made += [Chip("workflow", f"Workflow: {shortened(name)}", text) for name, text in self._workflows.values()]
        return made + [Chip(name, text) for name, text in self._told() if text]

    def _told(self) -> Iterable[tuple[str, str]]:
        said = self.cleaned_data
        if by := said.get("by"):
            yield "by", f"Started by: {self._starter(by)}"
        for name in DAYS:
            if said.get(name):
                yield name, f"{self.fields[name].label}: {date_text(said[name])}"
        if days := said.get("expires"):
            yield "expires", f"Expires within {plural(days, 'day')}"
        if steps := said.get("steps"):
            yield "steps", f"At least {plural(steps, 'step')} done"
        if key := said.get("key"):
            yield "key", f"{shortened(key[0])} equals a value you searched for"
        if origin := said.get("origin"):
            yield "origin", "Triggered from this console" if origin == "here" else "Triggered elsewhere"

    def _starter(self, by: str) -> str:
        return "me" if by == ME else shortened(people.names_of(self.membership, [by]).get(by) or by)

    @property
    def advanced(self) -> list[forms.BoundField]:
        """The fields behind "More filters"."""
        return [self[name] for name in ADVANCED]

    @property
    def chosen_workflows(self) -> list[str]:
        return [str(pk) for pk in self.cleaned_data.get("workflow", ())]

    @property
    def chosen_starter(self) -> list[str]:
        return [by] if (by := self.cleaned_data.get("by")) else []

    @property
    def typed_workflow(self) -> str:
        return self._typed("workflow")

    @property
    def typed_starter(self) -> str:
        return self._typed("by")

    def _typed(self, name: str) -> str:
        """What was typed and names none, or too many."""
        texts = _texts(self.query.getlist(name)) if name in self.errors else []
        return next((text for text in reversed(texts) if not uuid_of(text)), "")


def uuid_of(text: str) -> UUID | None:
    """The id that the text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _texts(values: list[str] | None) -> list[str]:
    """What was said; no database takes a NUL."""
    return [text for value in values or [] if (text := value.replace("\0", "").strip()[:200])]


def _which(text: str, found: Sized, noun: str) -> str:
    said = shortened(text)
    if found:
        return f"“{said}” may be more than one {noun}. Choose one."
    return f"No {noun} that you see has “{said}” in the name."
