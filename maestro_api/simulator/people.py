"""Who can sign in, and the accounts they belong to. Rule: identifiers here are constants, whatever the seed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MAIN_ACCOUNT_ID = "6f1d2c1a-5a0e-4c1b-9a52-3f0f6a7c1d01"
SECOND_ACCOUNT_ID = "b4c7e6d2-8f13-4a6e-8d0b-7a2e9c5f4b02"
OTHER_ACCOUNT_ID = "d92a5b3c-1e74-4f88-a6c1-0b9d8e7f6a03"
ORGANIZATION_ID = "3a0c5f7e-62bd-4d19-8c44-91e2d7b6f504"

DEMO_CLIENT_ID = "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10"
DEMO_CLIENT_SECRET = "5b8f0e3d-7c42-4a96-b1d5-e60a9f2c8d77"  # noqa: S105 - opens nothing but this simulator

ADA_ADMIN = "a1000000-5eed-4a01-8c01-0a1b2c3d4e01"

LEVELS = ("none", "create", "prepare", "manage")


@dataclass(slots=True)
class Account:
    id: str
    name: str
    organization_id: str | None = None


@dataclass(slots=True)
class Person:
    """`level` is what Docusign calls the agreement orchestration access of this user."""

    sub: str
    name: str
    email: str
    account_ids: tuple[str, ...]
    level: str = "manage"
    level_in: dict[str, str] = field(default_factory=dict)

    def level_for(self, account_id: str) -> str:
        return self.level_in.get(account_id, self.level)


ACCOUNTS = (
    Account(MAIN_ACCOUNT_ID, "Northwind Agreements", ORGANIZATION_ID),
    Account(SECOND_ACCOUNT_ID, "Northwind Property"),
    Account(OTHER_ACCOUNT_ID, "Other Trading"),
)

SEEDED = (
    Person(
        ADA_ADMIN,
        "Ada Admin",
        "ada@northwind.example",
        (MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID),
    ),
    Person("a1000000-5eed-4a02-8c02-0a1b2c3d4e02", "Olu Operator", "olu@northwind.example", (MAIN_ACCOUNT_ID,)),
    Person(
        "a1000000-5eed-4a03-8c03-0a1b2c3d4e03", "Pia Preparer", "pia@northwind.example", (MAIN_ACCOUNT_ID,), "prepare"
    ),
    Person("a1000000-5eed-4a04-8c04-0a1b2c3d4e04", "Vic Viewer", "vic@northwind.example", (MAIN_ACCOUNT_ID,), "none"),
    Person("a1000000-5eed-4a05-8c05-0a1b2c3d4e05", "Ada Other", "ada@northwind.example", (OTHER_ACCOUNT_ID,)),
    Person("a1000000-5eed-4a06-8c06-0a1b2c3d4e06", "Sam Second", "sam@northwind.example", (SECOND_ACCOUNT_ID,)),
)


def seeded_people(names: list[str] | None = None) -> list[Person]:
    """The six known people, or those named; `Name:level` invents a further one in the main account."""
    known = {person.name: person for person in SEEDED}
    if not names:
        return [replace(person, level_in={}) for person in SEEDED]
    people = []
    for number, wanted in enumerate(names, start=7):
        name, _, level = wanted.strip().partition(":")
        if level and level not in LEVELS:
            raise ValueError(f"{wanted!r}: the level must be one of {', '.join(LEVELS)}.")
        if name in known:
            people.append(replace(known[name], level=level or known[name].level, level_in={}))
        elif name:
            sub = f"a1000000-5eed-4a{number:02x}-8c{number:02x}-0a1b2c3d4e{number:02x}"
            email = f"{name.lower().replace(' ', '.')}@northwind.example"
            people.append(Person(sub, name, email, (MAIN_ACCOUNT_ID,), level or "manage"))
    return people
