"""How a state looks: word, tone and icon side by side, so that no template needs an `if`.

The one rule: a state that this console does not know is shown as it came, grey and dashed, never as something good.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """Word, tone (`running good warning danger neutral unknown`), icon name, and whether it asks for a person."""

    label: str
    tone: str
    icon: str
    loud: bool = False


def unknown_look(raw: str) -> Look:
    """The look of a word from Docusign that is in no table of ours; empty text means that nothing was said yet."""
    return Look(raw or "Not read yet", "unknown", "unknown")
