"""The page's tie to the browser: address, theme cookie, links, and coming back after a lost connection."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import JSComponent

COOKIE = "moma_theme"
"""Cookie with the theme, so that the next page is light or dark from its first paint."""


class Browser(JSComponent):
    """Invisible; what is set here happens in the browser."""

    query = param.String(doc="Query of the page's address, with its question mark.")
    steps = param.List(
        default=[], item_type=str, doc="Names in the query whose change adds to the browser's history."
    )
    theme = param.Selector(default="light", objects=["light", "dark"], doc="Kept in a cookie.")
    target = param.String(doc="Address to go to.")

    _esm = Path(__file__).with_name("browser.js")
