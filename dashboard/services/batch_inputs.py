"""What the triggers of a bulk run send: where it is sealed to, and what it says. Its one rule: it is opened only to be sent or judged."""

from dashboard import crypto
from dashboard.models import Batch


def inputs_place(batch: Batch, position: int) -> tuple[str, str, str]:
    """Where the inputs of an item are sealed to."""
    return "batch", str(batch.pk), str(position)


def meaning(batch: Batch, position: int, sealed: str) -> str:
    """What is compared: the inputs themselves, however they are sealed; what cannot be opened means only itself."""
    if not sealed:
        return ""
    try:
        return f"inputs {crypto.unseal(sealed, *inputs_place(batch, position))}"
    except crypto.SealBroken:
        return f"sealed {sealed}"
