"""Entry for ``panel serve dashboards/app.py``: all pages under one address, told apart by ``?page=``.

Panel's own command listens on all of the machine's addresses. Without a login only the machine itself is served.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import panel as pn

from dashboards.pages import BY_SLUG, HOME
from dashboards.server import is_loopback
from dashboards.shell import build_page, prepare

REFUSED = (
    "This dashboard is served without a login, so only the machine that it runs on may use it. "
    "Start it with --basic-auth or --oauth-provider, or use an SSH tunnel."
)


def links(page: str, query: str) -> str:
    """Return the address of a page under this one."""
    rest = query.removeprefix("?")
    return f"?page={page}" + (f"&{rest}" if rest else "")


def main() -> None:
    """Serve the page that the address asks for."""
    if not _welcome():
        pn.pane.Str(REFUSED).servable()
        return
    prepare()
    location = pn.state.location
    asked = parse_qs((location.search if location else "").removeprefix("?")).get("page", [HOME.slug])[0]
    page = BY_SLUG.get(asked, HOME)
    build_page(page, links).servable(title=page.tab)


def _welcome() -> bool:
    """Return whether the visitor has logged in, or sits at this machine."""
    if pn.state.user not in (None, "guest"):
        return True
    context = pn.state.curdoc.session_context
    request = getattr(context.request, "_request", None) if context else None
    return request is None or is_loopback(str(request.remote_ip))


if __name__.startswith("bokeh_app"):
    main()
