"""A local Docusign to develop, test and rehearse against: OAuth, the nine operations, Connect, limits, faults, clock.

Rule: it stands for the other side. It is built from the published specifications, never from what our client sends, and it
imports nothing of the client.
"""

from .core import Simulator
from .messages import SimRequest, SimResponse
from .people import ADA_ADMIN, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, OTHER_ACCOUNT_ID, SECOND_ACCOUNT_ID
from .server import SimulatorServer

__all__ = [
    "ADA_ADMIN",
    "DEMO_CLIENT_ID",
    "DEMO_CLIENT_SECRET",
    "MAIN_ACCOUNT_ID",
    "OTHER_ACCOUNT_ID",
    "SECOND_ACCOUNT_ID",
    "SimRequest",
    "SimResponse",
    "Simulator",
    "SimulatorServer",
]
