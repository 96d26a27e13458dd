"""Looks for scripts, styles, fonts and pictures from elsewhere (S-18). Its one rule: pages load nothing but from this console."""

import re
from collections.abc import Iterator
from pathlib import Path

LOADED = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio|embed|object|use)\b[^>]*?\b(?:src|href|srcset|data|poster)\s*=\s*[\"']?\s*(?:https?:)?//"
    r"|@import\s+(?:url\()?\s*[\"']?(?:https?:)?//"
    r"|url\(\s*[\"']?(?:https?:)?//"
    r"|\b(?:import|importScripts|fetch)\s*\(\s*[\"'`](?:https?:)?//"
    r"|\bfrom\s+[\"'](?:https?:)?//",
    re.I,
)
FOLDERS = {"templates": "*.html", "static": "*.css", "static/js": "*.js", "static/img": "*.svg"}


def scan(root: Path) -> Iterator[str]:
    """One line for each thing that is loaded from elsewhere."""
    for folder, kind in FOLDERS.items():
        for file in sorted((root / folder).rglob(kind)):
            text = file.read_text()
            for match in LOADED.finditer(text):
                yield f"{file.relative_to(root)}:{text.count(chr(10), 0, match.start()) + 1}: loads from elsewhere"
