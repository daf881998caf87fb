"""Entry for ``panel serve dashboards/app.py``: all pages under one address, told apart by ``?page=``."""

from __future__ import annotations

from urllib.parse import parse_qs

import panel as pn

from dashboards.pages import BY_SLUG, HOME
from dashboards.shell import build_page, prepare


def links(page: str, query: str) -> str:
    """Return the address of a page under this one."""
    rest = query.removeprefix("?")
    return f"?page={page}" + (f"&{rest}" if rest else "")


def main() -> None:
    """Serve the page that the address asks for."""
    prepare()
    location = pn.state.location
    asked = parse_qs((location.search if location else "").removeprefix("?")).get("page", [HOME.slug])[0]
    build_page(BY_SLUG.get(asked, HOME), links).servable()


if __name__.startswith("bokeh_app"):
    main()
