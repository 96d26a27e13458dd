"""Patterns with * for any text and ? for one character. Its one rule: time grows with the length of the text, whatever the pattern."""

from functools import lru_cache


@lru_cache(maxsize=256)
def _steps(pattern: str) -> tuple[dict[str, int], int, int, int]:
    """The pattern as bits, bit n standing for "n characters are matched": by character, for any, where a * stays, the end."""
    characters: dict[str, int] = {}
    anything = loops = place = 0
    for character in pattern:
        if character == "*":
            loops |= 1 << place
        else:
            if character == "?":
                anything |= 1 << place
            else:
                characters[character] = characters.get(character, 0) | 1 << place
            place += 1
    return characters, anything, loops, 1 << place


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits; capital and small letters differ."""
    characters, anything, loops, end = _steps(pattern)
    reached = 1
    for character in text:
        # All places of the pattern move on at once, so nothing is ever tried again.
        reached = (reached & (characters.get(character, 0) | anything)) << 1 | reached & loops
        if not reached:
            return False
    return bool(reached & end)
