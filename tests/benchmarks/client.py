"""What the client costs on top of bare requests and json, in the same run on the same server."""

import json
import statistics
from collections.abc import Iterator

import requests

from maestro_api import MaestroClient, simulator_environment
from maestro_api.decoding import instances_of, members_of, rows_of
from maestro_api.simulator import MAIN_ACCOUNT_ID, SimRequest, Simulator
from tests.benchmarks.figures import Figure, milliseconds
from tests.benchmarks.served import served_by_process

CALLS = 400
ROWS = 5_000
ROUNDS = 15


def figures() -> Iterator[Figure]:
    with served_by_process() as (url, token):
        environment = simulator_environment(url)
        client = MaestroClient(environment, MAIN_ACCOUNT_ID, token)
        bare = requests.Session()
        bare.trust_env = False
        address = f"{url}/v1/accounts/{MAIN_ACCOUNT_ID}/workflows"
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}

        def by_hand() -> object:
            return json.loads(bare.get(address, headers=headers, timeout=(3.05, 10), allow_redirects=False).content)

        milliseconds(by_hand, 20), milliseconds(client.list_workflows, 20)
        # In turns, so that a slow moment of the machine meets both.
        pairs = [(milliseconds(client.list_workflows, 1)[0], milliseconds(by_hand, 1)[0]) for _ in range(CALLS)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Figure("client_call_p50_to_bare_requests", ours / theirs, "ratio", "<= 1.3")
    yield Figure("decode_5000_instances_to_json_loads", decoding_ratio(), "ratio", "<= 1.0")


def decoding_ratio() -> float:
    """Typed instances out of a list's body, against plain dictionaries out of the same body."""
    body = list_body()

    def ours() -> None:
        items, oddities = instances_of(rows_of(members_of(body), "data"))
        assert len(items) + len(oddities) >= ROWS

    pairs = [(milliseconds(ours, 1)[0], milliseconds(lambda: json.loads(body), 1)[0]) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    return mine / theirs


def list_body() -> bytes:
    """The simulator's own answer for one workflow of 5,000 instances."""
    simulator = Simulator(seed=1, workflows=1, instances=ROWS, base_url="http://127.0.0.1:9000")
    token = simulator.token("Ada Admin")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    root = f"/v1/accounts/{MAIN_ACCOUNT_ID}/workflows"
    workflows = json.loads(simulator.handle(SimRequest("GET", root, headers, b"")).body)["data"]
    bodies = [
        simulator.handle(SimRequest("GET", f"{root}/{workflow['id']}/instances", headers, b"")).body
        for workflow in workflows
    ]
    body = max(bodies, key=len)
    assert len(json.loads(body)["data"]) >= ROWS * 0.9, "one workflow holds the instances"
    return bytes(body)
