"""Static files are collected where something is newer, and left alone otherwise."""

import os
from pathlib import Path
from typing import Any

import pytest

from dashboard import static_files


@pytest.fixture
def manifest(settings: Any, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [tmp_path / "source"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }
    settings.INSTALLED_APPS = ["django.contrib.staticfiles"]
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.css").write_text("a {}")
    return tmp_path / "collected" / "staticfiles.json"


def test_what_was_collected_is_not_touched_until_something_is_newer(manifest: Path, tmp_path: Path) -> None:
    assert static_files.collect()
    first = manifest.stat().st_mtime_ns
    assert not static_files.collect()
    assert manifest.stat().st_mtime_ns == first
    source = tmp_path / "source" / "a.css"
    source.write_text("a { color: red }")
    later = manifest.stat().st_mtime + 5
    os.utime(source, (later, later))
    assert static_files.collect()
    assert "a.css" in manifest.read_text()
