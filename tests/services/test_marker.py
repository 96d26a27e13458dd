"""The marker in an instance name."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.marker import (
    ALPHABET,
    LENGTH,
    clean_name,
    find_marker,
    make_marker,
    with_marker,
    without_marker,
)

markers = st.text(alphabet=ALPHABET, min_size=LENGTH, max_size=LENGTH)


def test_a_marker_carries_at_least_fifty_random_bits() -> None:
    """U-3: 32 signs of five bits each, all of which are used."""
    assert len(set(ALPHABET)) == 32
    assert LENGTH * 5 >= 50
    assert set("".join(make_marker() for _ in range(500))) == set(ALPHABET)


def test_a_hundred_thousand_markers_are_all_different() -> None:
    """U-3: no two are alike."""
    assert len({make_marker() for _ in range(100_000)}) == 100_000


@given(st.text(max_size=80), markers)
def test_a_marker_is_found_again_and_never_shown(name: str, marker: str) -> None:
    """U-3: what is sent ends with the marker, and what is displayed is what was typed."""
    sent = with_marker(name, marker)
    assert find_marker(sent) == marker
    assert without_marker(sent) == clean_name(name)


@given(st.text(max_size=40), markers, st.text(max_size=40), st.sampled_from("·•∙⋅・"), st.booleans())
def test_a_typed_look_alike_never_passes_for_a_marker(
    before: str, forged: str, after: str, dot: str, upper: bool
) -> None:
    """U-3: text that a person typed cannot name another operation."""
    typed = f"{before}{dot}{forged.upper() if upper else forged}{after}"
    assert find_marker(clean_name(typed)) == ""
    marker = make_marker()
    assert find_marker(with_marker(typed, marker)) == marker


def test_a_name_built_from_pieces_of_markers_is_cleaned_to_the_end() -> None:
    """U-3: removing one look-alike must not join the rest into another one."""
    assert clean_name("NDA ·k7q2f·aaaaaaaaaaad93xyz") == "NDA"


def test_a_long_name_is_not_cut() -> None:
    assert with_marker("x" * 5000, make_marker()).startswith("x" * 5000)
