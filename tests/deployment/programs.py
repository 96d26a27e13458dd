"""Programs that a test drives: where one is missing the test is skipped, and with CI=true it fails."""

import os
import shutil

import pytest


def needs(*programs: str) -> None:
    """Skip the test, saying what is missing, unless all of these are installed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [each for each in programs if shutil.which(each, path=path) is None]
    if not missing:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {', '.join(missing)}")
    pytest.skip(f"not installed: {', '.join(missing)}")
