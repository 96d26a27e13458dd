"""What a large simulator costs. The figures are wide: they catch a wrong order of growth, not a slow machine."""

import json
import time
from pathlib import Path

import pytest

from maestro_api.simulator import Simulator
from maestro_api.simulator.rows import Lines, instance_body
from tests.maestro_api.simulator_calls import Caller

MANY = 200_000


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.fixture(scope="module")
def ada() -> Caller:
    sim = Simulator(instances=400)
    sim.set_limits(enabled=False)
    sim.add_data(workflows=8, instances=MANY)
    return Caller(sim)


def seconds_of(caller: Caller, path: str) -> float:
    began = time.perf_counter()
    assert caller.send("GET", path).status == 200
    return time.perf_counter() - began


def test_an_instance_costs_less_than_a_hundred_bytes() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to read the size of the process")
    before = resident_megabytes()
    Simulator(instances=MANY)
    assert (resident_megabytes() - before) * 2**20 / MANY < 100


@pytest.mark.parametrize(
    "query", ["", "?status=Failed", "?status=Paused", "?started_by_id=00000000-1111-4222-8333-444444444444"]
)
def test_a_page_of_the_account_list_takes_no_longer_than_a_blink(ada: Caller, query: str) -> None:
    assert min(seconds_of(ada, f"/workflow-instances{query}") for _ in range(3)) < 0.25


def test_every_instance_of_a_large_account_has_its_own_id_and_can_be_read(ada: Caller) -> None:
    rows = ada.sim.world.instances
    ids = {rows.id_of(row) for row in range(len(rows))}
    assert len(ids) == len(rows)
    assert all(rows.row_of(rows.id_of(row)) == row for row in range(0, len(rows), 997))


@pytest.mark.parametrize("profile", ["seed2025", "spec107", "wb100"])
def test_a_list_item_written_fast_equals_the_one_written_in_full(profile: str) -> None:
    sim = Simulator(instances=400, profile=profile)
    lines = Lines(sim.world)
    for row in range(len(sim.world.instances)):
        assert json.loads(lines.encode(row)) == instance_body(sim.world, row, in_list=True)
