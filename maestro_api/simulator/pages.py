"""The few HTML pages of the simulator: plain forms, no script, usable by keyboard. Rule: everything shown is escaped."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from .messages import SimResponse

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.6rem 1rem;min-width:12rem;margin:.25rem 0;cursor:pointer}"
    "ul{list-style:none;padding:0}small{display:block}"
    ".note{border-left:.25rem solid;padding-left:.75rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def page(status: int, title: str, content: str) -> SimResponse:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>{content}"
        '<p class="note">This is a local simulator. Nothing here reaches Docusign.</p></main></body></html>'
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return SimResponse(status, headers, html.encode())


def hidden(fields: dict[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


def redirect(location: str) -> SimResponse:
    return SimResponse(302, {"Location": location, "Content-Length": "0", "Cache-Control": "no-store"})
