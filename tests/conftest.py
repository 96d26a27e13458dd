"""What every test may use: a Docusign in process, and four persons of one account."""

import gc
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import responses
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.utils import timezone
from xdist.scheduler import LoadScopeScheduling

from dashboard import append_only, facts
from dashboard.models import Account, Membership, Rights, Role
from dashboard.services import browser_sessions
from dashboard.session_ends import set_times
from maestro_api import PROCESS_BUDGET
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator, SimulatorServer
from maestro_api.simulator.inprocess import install
from tests import filled_mirror
from tests.factories import AccountFactory, person, sealed_tokens
from tests.processes import collect_static

SIMULATOR_URL = "http://127.0.0.1:9000"
# Hypothesis' own profile for CI, on every machine: the same examples each time, and no example fails for being slow.
hypothesis.settings.load_profile("ci")


# The tests of such a file share servers that take long to start, so one process runs them all.
SHARED_SERVERS = (
    "tests/deployment/test_deploy.py",
    "tests/services/test_engines.py",
    "tests/services/test_queue.py",
    "tests/services/test_redis_lost.py",
    "tests/services/test_watching.py",
    "tests/test_reporting.py",
)


class OneProcessAServer(LoadScopeScheduling):
    """Each test goes to whichever process is free; those that share a console, a Chromium or another server go to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") else file if file in SHARED_SERVERS else nodeid


def pytest_collection_finish() -> None:
    """What was imported stays until the end, so the collector of garbage need not look through it over and over (a fifth of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_configure(config: pytest.Config) -> None:
    """Before several processes serve consoles and prepare demos, so that none finds the files in the middle of their making."""
    if not hasattr(config, "workerinput") and config.option.numprocesses:
        collect_static()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneProcessAServer:
    return OneProcessAServer(config, log)


@pytest.fixture(autouse=True)
def _fresh_facts() -> Iterator[None]:
    facts.set_facts(None)
    PROCESS_BUDGET.reset()
    for each in caches.all():
        each.clear()
    yield
    facts.set_facts(None)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A Docusign in process at the configured address; every other host fails the test."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        sim = Simulator(
            seed=1, workflows=12, instances=40, latency_ms=0, base_url=SIMULATOR_URL, born_at=filled_mirror.born_at()
        )
        install(mock, sim)
        yield sim


@pytest.fixture
def simulator_server() -> Iterator[SimulatorServer]:
    """A Docusign on a real port."""
    server = SimulatorServer(Simulator(seed=1, workflows=12, instances=40, latency_ms=0), port=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory(id=MAIN_ACCOUNT_ID)


@pytest.fixture
def connect(account: Account, simulator: Simulator) -> Callable[..., Membership]:
    """Connect one of the simulator's people to the account, with tokens that the simulator accepts."""

    def connected(name: str, *, role: Role = Role.OPERATOR, rights: Rights = Rights.UNPROVEN) -> Membership:
        token = simulator.token(name)
        membership = person(account, role, rights=rights, sub=token["user_id"], name=name)
        sealed_tokens(membership.user.connection, access=token["access_token"], refresh=token["refresh_token"])
        return membership

    return connected


@pytest.fixture
def viewer(account: Account) -> Membership:
    return person(account, Role.VIEWER, name="Vera Viewer")


@pytest.fixture
def operator(account: Account) -> Membership:
    return person(account, Role.OPERATOR, name="Oskar Operator")


@pytest.fixture
def admin(account: Account) -> Membership:
    return person(account, Role.ADMIN, name="Alma Admin")


@pytest.fixture
def outsider(db: None) -> Membership:
    """An admin of another account that this console serves too."""
    return person(AccountFactory(name="Other Company"), Role.ADMIN, name="Otto Outsider")


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """A browser session of a person, made without the sign-in pages."""

    def client_of(membership: Membership, *, htmx: bool = False, enforce_csrf_checks: bool = False) -> Client:
        client = Client(headers={"HX-Request": "true"} if htmx else None, enforce_csrf_checks=enforce_csrf_checks)
        client.force_login(membership.user, backend="dashboard.authentication.DocusignBackend")
        session = client.session
        session["account"] = str(membership.account_id)
        set_times(session, timezone.now() + browser_sessions.whole_time())
        session.save()
        return client

    return client_of


@pytest.fixture(autouse=True)
def _audit_entries_can_be_emptied(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test with real transactions empties its tables afterwards, which the audit's triggers refuse to anything else."""
    marker = request.node.get_closest_marker("django_db")
    is_marked = marker is not None and bool(marker.kwargs.get("transaction"))
    if not is_marked and not {"transactional_db", "live_server"} & set(request.fixturenames):
        yield
        return
    request.getfixturevalue("transactional_db")
    append_only.remove(connection)
    append_only.install(connection)
    yield
    append_only.remove(connection)
