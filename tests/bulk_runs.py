"""Bulk runs for tests of pages: their addresses, and items in every state."""

from django.test import Client
from django.urls import reverse

from dashboard.models import Batch, Workflow
from tests.factories import BatchItemFactory, InstanceFactory

HOSTILE = [
    "=1+1",
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "line\nbreak",
    '"><img src=x onerror=alert(1)>',
    "名前 😀",
]


def page_of(batch: Batch, name: str = "batch") -> str:
    return reverse(name, args=[batch.pk])


def filled(batch: Batch, workflow: Workflow, **numbers: int) -> None:
    """Items by state, each on an instance of the workflow."""
    position = 0
    for state, number in numbers.items():
        for _ in range(number):
            position += 1
            instance = InstanceFactory(workflow=workflow, name=f"NDA {state} {position}")
            row = {"position": position, "state": state, "instance": instance, "label": instance.name}
            BatchItemFactory(batch=batch, workflow=workflow, **row)


def body(client: Client, url: str, **query: str) -> str:
    return str(client.get(url, query).content.decode())
