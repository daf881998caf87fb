"""The frame around every page: header, menu, theme, address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.io.resources import LOCAL_DIST
from panel.util import edit_readonly
from panel.viewable import Viewable

from dashboards.components.layout import alert
from dashboards.looks import PAGE_CSS, THEME
from dashboards.pages import PAGES, PageInfo
from dashboards.runs_light import RunsLight
from dashboards.session import Session

Links = Callable[[str, str], str]
"""From a page's slug and a query to its address."""
MENU_WIDTH = 208
EXTENSIONS = ("tabulator",)


def prepare() -> None:
    """Load Panel's extensions; once for each session, as Panel wants it.

    Panel itself says only when it writes the page where its style sheets are. What a page has built before,
    because its data came quickly, would look for them on the internet.
    """
    pn.extension(*EXTENSIONS, notifications=True)
    root = f"{pn.state.rel_path}/" if pn.state.rel_path else ""
    pn.state.curdoc.template_variables.setdefault("dist_url", f"{root}{LOCAL_DIST}")


def build_page(page: PageInfo, links: Links) -> pmui.Page:
    """Build a page with its frame for the session of the moment."""
    session = Session(page.slug, links)
    frame = pmui.Page(
        meta_title=page.tab,
        sidebar=[_menu(page, session)],
        sidebar_width=MENU_WIDTH,
        sidebar_resizable=False,
        header=[_brand(), RunsLight(session).view],
        dark_theme=session.mode == "dark",
        theme_config=THEME,
        raw_css=[PAGE_CSS],
        busy_indicator=None,
        css_classes=["moma-page"],
    )
    _leave_others_alone(frame)

    def change_theme(event: Any) -> None:
        session.mode = session.browser.theme = "dark" if event.new else "light"

    frame.param.watch(session.guard(change_theme), "dark_theme")
    heading = pn.Column(
        pmui.Typography(page.title, variant="h5", sx={"fontWeight": 600}),
        pmui.Typography(page.summary, variant="body2", sx={"color": "text.secondary"}),
        sizing_mode="stretch_width",
        margin=(16, 24, 8, 24),
    )
    content = pn.Column(*_content(page, session), sizing_mode="stretch_width", margin=(0, 14, 48, 14))
    frame.main = [heading, content, session.browser]
    _deliver_from_now_on(pn.state.curdoc)
    pn.state.curdoc.title = page.tab
    pn.state.curdoc.config.notify_connection_status = False  # the page tells it in its own words
    return frame


def _leave_others_alone(frame: pmui.Page) -> None:
    """Untie a page from whether the server is busy, which it does not show.

    Panel keeps one such flag for all sessions: each event of anybody would be sent to everybody twice, and each
    time all parts of every open page looked through.
    """
    with edit_readonly(frame):
        frame.busy = False


def _deliver_from_now_on(document: Any) -> None:
    """Have every change of a page reach the browser.

    Panel (1.9) takes a page for unconnected until the browser has drawn all of it, and drops what changes in a
    layout or by a click until then: a click in that second, on the theme's button say, would change nothing.
    """
    connected = getattr(pn.state, "_connected", None)
    if connected is not None:
        connected[document] = True


def _content(page: PageInfo, session: Session) -> list[Viewable]:
    """Build what the page shows; if that fails, the page says why."""
    try:
        parts = list(page.build(session))
    except Exception as exc:  # noqa: BLE001 - the user needs a sentence and the menu, not a traceback
        return [alert("error", session.sentence(exc), margin=10)]
    return [*_refused(session), *parts]


def _refused(session: Session) -> list[Viewable]:
    """Return what is told of an address that does not fit."""
    if not session.refused:
        return []
    text = f"The address has values that do not fit and are left out: {', '.join(session.refused)}."
    return [alert("warning", text, margin=10)]


def _brand() -> pmui.Typography:
    return pmui.Typography(
        "MoMa",
        variant="h6",
        margin=0,
        sx={"fontWeight": 700, "color": "inherit", "letterSpacing": "0.02em"},
        sizing_mode="stretch_width",
        align="center",
    )


def _menu(current: PageInfo, session: Session) -> pmui.MenuList:
    items = [{"label": page.title, "icon": page.icon, "href": session.link(page.slug)} for page in PAGES]
    return pmui.MenuList(
        items=items, active=(PAGES.index(current),), dense=True, sizing_mode="stretch_width", margin=(8, 0)
    )
