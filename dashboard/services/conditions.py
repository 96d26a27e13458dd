"""The conditions of a list of instances, each in two spellings: one that an index can serve, and one that only looks at the row.

The one rule: both spellings mean the same; which of them is written decides how the database goes about it, never what it finds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Expression
from django.db.models.functions import Length, StrIndex
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, In, IsNull, LessThan, LessThanOrEqual
from django.db.models.sql.compiler import SQLCompiler

from dashboard.models import Instance, InstanceDenial, InstanceKey, InstanceName
from dashboard.name_index import SHORTEST, Holds
from dashboard.services.findable import LONGEST_ORDER

Spelled: TypeAlias = Q | Expression | Any
LEAST: dict[str, Any] = {"DateTimeField": datetime(1, 1, 2, tzinfo=UTC), "IntegerField": -(2**31)}


class Loose(Func):
    """A column as it is, but spelled so that no index over it is used."""

    arity = 1

    def __init__(self, column: str) -> None:
        super().__init__(F(column))

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **extra)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        """The greatest of one value: of any type, and without the cost of adding nothing to it, which thousands of rows feel."""
        return self.as_sql(compiler, connection, template="GREATEST(%(expressions)s)", **extra)


class Test(StrEnum):
    """How a column is compared."""

    IS = "is"
    IN = "in"
    NOT_IN = "not in"
    FROM = "from"
    UNTIL = "until"
    BY = "by"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Condition:
    """A column of the row, compared with a value."""

    column: str
    test: Test
    value: Any = None

    @property
    def is_equal(self) -> bool:
        return self.test in (Test.IS, Test.MISSING)

    @property
    def is_given(self) -> bool:
        """Whether it only asks for any value at all."""
        return self.test == Test.FROM and self.value in LEAST.values()

    def spelled(self, *, loose: bool = False) -> Spelled:
        column: Any = Loose(self.column) if loose else F(self.column)
        match self.test:
            case Test.IS:
                return Exact(column, self.value)
            case Test.IN:
                return In(column, list(self.value))
            case Test.NOT_IN:
                return ~Q(In(column, list(self.value)))
            case Test.FROM:
                return GreaterThanOrEqual(column, self.value)
            case Test.UNTIL:
                return LessThan(column, self.value)
            case Test.BY:
                return LessThanOrEqual(column, self.value)
            case Test.MISSING:
                return IsNull(column, True)


def given(column: str) -> Condition:
    """The column has a value, spelled as a range, which an index serves on every database."""
    return Condition(column, Test.FROM, LEAST[Instance._meta.get_field(column).get_internal_type()])


class Elsewhere(Protocol):
    """A condition that is decided beside the row: in another table, or by several of its columns."""

    @property
    def columns(self) -> frozenset[str] | None:
        """The columns of the row that tell it; None where other tables are read."""

    def found(self, most: int | None = None) -> QuerySet[Any] | None:
        """The ids of the rows that meet it, from an index, `most` of them at least; None where no index helps."""

    def spelled(self) -> Spelled:
        """Whether a row at hand meets it."""


@dataclass(frozen=True, slots=True)
class Named:
    """The name holds a text, folded; or the text is the whole id of the row."""

    text: str
    pk: UUID | None = None

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({"name_order"})

    def found(self, most: int | None = None) -> QuerySet[Any] | None:
        if len(self.text) < SHORTEST or self.pk is not None:
            return None
        return InstanceName.objects.filter(Holds(self.text, most)).order_by().values("instance_id")

    def spelled(self) -> Spelled:
        """The beginning of the name stands in the row; the whole name is looked up only where the beginning is not all of it."""
        begins = GreaterThan(StrIndex(F("name_order"), Value(self.text)), 0)
        whole = InstanceName.objects.alias(at=StrIndex(F("text"), Value(self.text))).filter(
            instance=OuterRef("pk"), at__gt=0
        )
        is_cut = GreaterThanOrEqual(Length(F("name_order")), LONGEST_ORDER)
        named = Q(begins) | (Q(is_cut) & Q(Exists(whole)))
        return Q(pk=self.pk) | named if self.pk else named


@dataclass(frozen=True, slots=True)
class Keyed:
    """An input that the team marked as a key has a value, of which only the digest is known."""

    name: str
    digest: str

    @property
    def columns(self) -> None:
        return None

    def found(self, most: int | None = None) -> QuerySet[Any]:
        keys = {
            "key_input__name": self.name,
            "key_input__unmarked_at": None,
        }  # digests of former keys wait for the worker
        return InstanceKey.objects.filter(**keys, digest=self.digest).values("instance_id")

    def spelled(self) -> Spelled:
        return Exists(self.found().filter(instance=OuterRef("pk")))


@dataclass(frozen=True, slots=True)
class OwnOrOpen:
    """Started by this person, or of a workflow whose list Docusign shows to them with the rows of others."""

    account_id: UUID
    own_id: str
    open_ids: tuple[UUID, ...]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({"started_by", "workflow_id"})

    def found(self, most: int | None = None) -> QuerySet[Any]:
        own = Instance.objects.filter(account_id=self.account_id, started_by=self.own_id).order_by().values("pk")
        return own.union(Instance.objects.filter(workflow_id__in=self.open_ids).order_by().values("pk"))

    def spelled(self) -> Spelled:
        return Q(Exact(Loose("started_by"), self.own_id)) | Q(In(Loose("workflow_id"), list(self.open_ids)))


@dataclass(frozen=True, slots=True)
class NotDenied:
    """Docusign did not refuse this row to this person."""

    user_id: Any

    @property
    def columns(self) -> frozenset[str]:
        return frozenset({"id"})

    def found(self, most: int | None = None) -> None:
        return None

    def spelled(self) -> Spelled:
        return ~Exists(InstanceDenial.objects.filter(user_id=self.user_id, instance=OuterRef("pk")))
