"""Lists which reliability requirements have a test: `python -m tests.requirements`.

The one rule: a requirement counts only when a test's own docstring names its id.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
IDENTIFIER = re.compile(r"\b([OEURWSVAD]-\d{1,2})\b")


def claims() -> Iterator[tuple[str, str]]:
    """Pairs of requirement id and test, read from the docstrings of test functions."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower().startswith("test"):
                for identifier in dict.fromkeys(IDENTIFIER.findall(ast.get_docstring(node) or "")):
                    yield identifier, f"{path.relative_to(TESTS)}::{node.name}"


def _order(identifier: str) -> tuple[int, int]:
    section, number = identifier.split("-")
    return "OEURWSVAD".index(section), int(number)


def main() -> None:
    """One line an id: how many tests, and which."""
    tests = defaultdict(list)
    for identifier, test in claims():
        tests[identifier].append(test)
    for identifier in sorted(tests, key=_order):
        print(f"{identifier:5} {len(tests[identifier]):3}  {', '.join(tests[identifier])}")


if __name__ == "__main__":
    main()
