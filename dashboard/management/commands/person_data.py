"""`manage.py person_data`: what is kept about a person, and its erasure. Its one rule: nothing is erased without `--yes`."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from dashboard.services import personal_data, personal_erasure, personal_export
from dashboard.services.errors import Refused
from dashboard.wording import plural


class Command(BaseCommand):
    help = "Take out as JSON, or erase, what is kept about a person; see docs/privacy.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        for deed, says, what in (
            ("export", "print all that is kept, as JSON", "name, e-mail address, id, or a value of an input"),
            ("erase", "erase a person of this console", "the id, as the export gives it"),
            ("erase_value", "erase inputs that hold a value", "such as an e-mail address"),
        ):
            sub = deeds.add_parser(deed, help=says)
            sub.add_argument("text", help=what)
            if deed != "export":
                sub.add_argument("--yes", action="store_true", help="do it; without it only what would go is said")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['deed']}")(options["text"], **{"is_sure": options.get("yes", False)})
        except Refused as refusal:
            raise CommandError(refusal.message) from refusal

    def _export(self, text: str, *, is_sure: bool) -> None:
        found = personal_export.export(text)
        self.stdout.write(json.dumps(found, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))

    def _erase(self, text: str, *, is_sure: bool) -> None:
        people = list(personal_data.people_like(text))
        if len(people) != 1:
            raise CommandError(f"{plural(len(people), 'person')} found. Give the id, as the export gives it.")
        if not is_sure:
            self.stdout.write(f"{people[0]} would be erased. With --yes it is done, and cannot be taken back.")
            return
        done = personal_erasure.erase_person(people[0])
        self.stdout.write(
            f"Erased: {plural(done.rows, 'row')}. The audit keeps what it recorded until its time is over."
        )
        if done.is_barred:
            self.stdout.write(
                "They stay switched off: the next sign-in of the same Docusign user is refused as before."
            )

    def _erase_value(self, text: str, *, is_sure: bool) -> None:
        if not is_sure:
            found = personal_data.find_mentions(text)
            number = len(found.inputs) + len(found.presets) + len(found.rows)
            number += len(found.operations) + len(found.deliveries)
            self.stdout.write(f"{plural(number, 'row')} would be emptied or deleted. With --yes it is done for good.")
            return
        done = personal_erasure.erase_mentions(text)
        self.stdout.write(f"Erased: {plural(done.rows, 'row')}.")
        if done.names_left:
            self.stdout.write(
                f"{plural(done.names_left, 'instance')} at Docusign hold it in names or tags, which stay."
            )
        if done.words_left:
            what = plural(done.words_left, "text")
            self.stdout.write(
                f"{what} in names, reasons and settings of this console hold it and stay; the export shows them."
            )
