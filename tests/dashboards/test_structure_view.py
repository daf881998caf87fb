"""Structures in a real browser, with nothing but the server: drawn, turned, put away, and safe."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator

import numpy as np
import panel as pn
import pytest
from ase.build import bulk
from PIL import Image

from moma_app.plots.crystals.payload import payload_of
from moma_app.plots.crystals.view import LIBRARY, StructureView
from moma_app.structures import Crystal

SLOW = 60_000
EVIL = "<img src=x onerror='document.title=1'>"
EMPTY = "Choose a point to see its structure."
WATCH = """
window.canvases = new Set();
const original = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  if (kind.startsWith("webgl")) {
    if (new URLSearchParams(location.search).has("nowebgl")) return null;
    window.canvases.add(this);
  }
  return original.call(this, kind, ...rest);
};
"""
SALT, FLUORIDE, COPPER = (
    Crystal.from_any(atoms)
    for atoms in (bulk("NaCl", "rocksalt", 5.64, cubic=True), bulk("LiF", "rocksalt", 4.03), bulk("Cu"))
)


def views() -> pn.Column:
    """Three structures, and a view that is empty until a button fills it."""
    pn.extension()
    several = [
        payload_of(SALT, label="mp-22862", note="5.0 eV"),
        payload_of(FLUORIDE, label=EVIL, note=EVIL),
        payload_of(COPPER),
    ]
    other = StructureView(height=200, empty=EMPTY)
    fill = pn.widgets.Button(label="Fill")
    fill.on_click(lambda _: other.param.update(structures=several[:1]))
    return pn.Column(fill, StructureView(several, height=260), other, sizing_mode="stretch_width")


def again() -> pn.Column:
    """A button that puts a new view in the place of the old one."""
    pn.extension()
    place = pn.Column(StructureView([payload_of(SALT, label="0")]))
    button = pn.widgets.Button(label="Again")

    def replace(event: pn.widgets.Button) -> None:
        place[0] = StructureView([payload_of(SALT, label=str(button.clicks))])

    button.on_click(replace)
    return pn.Column(button, place)


def below() -> pn.Column:
    """A view that is reached by scrolling."""
    pn.extension()
    return pn.Column(pn.Spacer(height=3000), StructureView([payload_of(SALT)]))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = pn.serve(
        {"views": views, "again": again, "deep/below": below},
        port=port,
        address="127.0.0.1",
        websocket_origin=f"127.0.0.1:{port}",
        threaded=True,
        show=False,
        verbose=False,
    )
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def visit(chromium, server) -> Iterator[Callable]:
    """Open a page; the test fails on an error in the console or a request to another machine."""
    problems, contexts = [], []

    def opened(path: str, **how):
        context = chromium.new_context(viewport={"width": 600, "height": 540}, **how)
        contexts.append(context)
        context.set_default_timeout(SLOW)
        tab = context.new_page()
        tab.add_init_script(WATCH)
        tab.asked = []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
        tab.on("console", lambda m: problems.append(m.text) if "WebGL contexts" in m.text else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(f"{server}/{path}")
        return tab

    yield opened
    for context in contexts:
        problems += [
            url
            for tab in context.pages
            for url in tab.asked
            if not url.startswith((server, "data:", "blob:"))
        ]
        context.close()
    assert not problems, "\n".join(problems)


def drawn(view) -> None:
    """Wait until a view shows a picture: many colours, and not only the surface's."""
    for _ in range(int(SLOW / 500)):
        if len(np.unique(picture(view).reshape(-1, 3), axis=0)) > 200:
            return
        view.page.wait_for_timeout(500)
    pytest.fail("Nothing was drawn.")


def until(tab, holds) -> None:
    """Wait for what a busy machine draws late."""
    for _ in range(int(SLOW / 250)):
        tab.wait_for_timeout(250)
        if holds():
            return
    pytest.fail("The picture did not become what it should.")


def picture(view) -> np.ndarray:
    """Return what a view's stage shows, RGB, uint8 [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(view.locator(".stage").screenshot())).convert("RGB"))


def changed(before, after) -> float:
    """Return the share of pixels that differ."""
    return float((before != after).any(axis=-1).mean())


def test_a_structure_is_drawn_with_its_facts(visit):
    view = visit("views").locator(".viewer").first
    drawn(view)
    seen = picture(view).astype(int)
    assert 0.02 < (seen != 255).any(axis=-1).mean() < 0.8, "atoms on a white surface"
    assert (seen[..., 1] > 1.5 * seen[..., [0, 2]].max(axis=-1)).mean() > 0.005, "chlorine is green"
    assert view.locator(".name").inner_text().split() == ["NaCl", "mp-22862", "5.0", "eV"]
    facts = view.locator(".facts").inner_text()
    assert "8 atoms" in facts
    assert "a 5.640 Å" in facts
    assert "γ 90.0°" in facts
    assert view.locator(".legend li").all_inner_texts() == ["Na", "Cl"]


def test_structures_are_chosen_turned_and_reset_with_the_keyboard(visit):
    tab = visit("views")
    view = tab.locator(".viewer").first
    drawn(view)
    view.get_by_role("tab").first.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert view.locator("[aria-selected=true]").inner_text() == "Cu"
    assert "1 atom " in view.locator(".facts").inner_text().replace("\n", " ")
    drawn(view)
    tab.wait_for_timeout(1000)
    before = picture(view)
    view.locator(".stage").focus()
    for _ in range(2):
        tab.keyboard.press("ArrowLeft")
    until(tab, lambda: changed(before, picture(view)) > 0.005)
    tab.keyboard.press("Home")
    until(tab, lambda: changed(before, picture(view)) < 0.002)
    view.get_by_role("button", name="Reset view").focus()
    tab.keyboard.press("Enter")


def test_text_of_a_file_is_never_markup(visit):
    tab = visit("views")
    view = tab.locator(".viewer").first
    view.get_by_role("tab").nth(1).click()
    view.locator(".name").get_by_text(EVIL).first.wait_for()
    assert view.locator("img").count() == 0
    assert tab.title() != "1"
    assert view.locator(".name strong").inner_html() == "LiF"


def test_an_empty_view_keeps_its_place_and_says_what_to_do(visit):
    tab = visit("views")
    view = tab.locator(".viewer").nth(1)
    view.get_by_text(EMPTY).wait_for()
    before = view.bounding_box()
    assert before["height"] == pytest.approx(200, abs=1)
    tab.get_by_role("button", name="Fill").click()
    drawn(view)
    assert view.bounding_box() == before
    assert view.get_by_role("tab").count() == 0


def test_views_that_come_and_go_share_their_canvas(visit):
    tab = visit("again")
    for count in range(1, 7):
        tab.get_by_role("button", name="Again").click()
        tab.locator(".viewer .name").get_by_text(str(count), exact=True).wait_for()
    drawn(tab.locator(".viewer"))
    assert tab.locator(".viewer canvas").count() == 1
    assert tab.evaluate("window.canvases.size") <= 3, "one to ask whether there is WebGL, and those in use"


def test_the_library_comes_when_a_structure_comes_into_view_and_is_kept_by_the_browser(visit):
    tab = visit("deep/below")
    tab.locator(".viewer").wait_for(state="attached")
    tab.wait_for_timeout(1000)
    assert not any(LIBRARY in url for url in tab.asked)
    with tab.expect_response(lambda response: LIBRARY in response.url) as response:
        tab.locator(".viewer").scroll_into_view_if_needed()
    assert response.value.headers["cache-control"].startswith("max-age=3153")
    drawn(tab.locator(".viewer"))
    size = sum(
        entry["transferSize"]
        for entry in tab.evaluate(
            "performance.getEntriesByType('resource').map(e => ({name: e.name, transferSize: e.transferSize}))"
        )
        if "structure_view" in entry["name"]
    )
    assert size < 600_000


def test_the_wheel_scrolls_the_page_until_the_picture_is_chosen(visit):
    tab = visit("views", has_touch=False)
    view = tab.locator(".viewer").first
    drawn(view)
    before = picture(view)
    view.locator(".stage").hover()
    tab.mouse.wheel(0, -240)
    tab.wait_for_timeout(500)
    assert changed(before, picture(view)) < 0.002
    view.locator(".stage").click()
    tab.mouse.wheel(0, -240)
    tab.wait_for_timeout(500)
    assert changed(before, picture(view)) > 0.01


def test_without_webgl_a_sentence_says_so_and_the_facts_stay(visit):
    view = visit("views?nowebgl").locator(".viewer").first
    view.get_by_text("This browser draws no 3D graphics").wait_for()
    assert "8 atoms" in view.locator(".facts").inner_text()
