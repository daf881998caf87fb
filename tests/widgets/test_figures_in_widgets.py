"""Figures in a page: they wait for Bokeh, send little, and do not listen to echoes."""

from __future__ import annotations

import json

import pytest

from moma_app.plots.live import Encoded, live_bars
from moma_app.widgets.figure import FigureBox
from moma_app.widgets.library import library
from moma_app.widgets.shown import Shown

MODULES = ["a", "b", "c"]


class Recorded(Shown):
    """Keeps what it sends."""

    def send(self, content, buffers=None):
        self.__dict__.setdefault("sent", []).append(content)


@pytest.fixture
def live():
    figure = live_bars(MODULES, unit="eV")
    figure.send(Encoded({"a": 0.1, "b": 0.2, "c": 0.3}, {"a": 1.0, "b": 0.0, "c": 0.0}))
    return figure


def test_a_figure_waits_until_the_page_has_bokeh_and_is_drawn_anew_in_another_page(live):
    library.cache_clear()
    box = FigureBox(waiting="Nothing yet.")
    assert "Nothing yet." in box.children[0].value
    box.show(live.figure)
    assert "being drawn" in box.children[0].value
    library().button.click()
    (first,) = box.children
    assert isinstance(first, Shown)
    library().button.click()
    (second,) = box.children
    assert isinstance(second, Shown)
    assert second is not first
    box.clear("Gone.")
    library().button.click()
    assert "Gone." in box.children[0].value
    box.close()


def test_what_the_page_gets_is_bokeh_and_nothing_from_elsewhere():
    carrier = library().view.children[0].value
    assert "DecompressionStream" in carrier
    assert "http:" not in carrier
    assert "https:" not in carrier
    assert len(carrier) < 700_000


def test_a_change_is_one_message_with_what_has_changed(live):
    import holoviews as hv

    plot = hv.renderer("bokeh").get_plot(live.figure)
    shown = Recorded(plot.state)
    for weights in ({"a": 0.5, "b": 0.5, "c": 0.0}, {"a": 0.2, "b": 0.8, "c": 0.0}):
        shown.sent = []
        with shown.together():
            live.send(Encoded({"a": 0.1, "b": 0.2, "c": 0.3}, weights))
    messages = [json.loads(each["payload"]) for each in shown.sent if "events" in str(each.get("payload"))]
    assert len(messages) == 1
    changed = [(event["model"]["id"], event["attr"]) for event in messages[0]["events"]]
    assert len(changed) == len(set(changed)) < 15
    assert not [attr for _, attr in changed if attr in ("hold_render", "axis_line_color", "min_border_left")]
    assert sum(attr == "data" for _, attr in changed) == 4


def test_what_the_page_repeats_changes_nothing(live):
    import holoviews as hv

    plot = hv.renderer("bokeh").get_plot(live.figure)
    shown = Recorded(plot.state)
    figure = (
        plot.state.children[0][0] if isinstance(plot.state.children[0], tuple) else plot.state.children[0]
    )
    echo = {
        "event": "jsevent",
        "kind": "ModelChanged",
        "model": {"id": figure.id},
        "attr": "hold_render",
        "new": True,
    }
    shown._sync_model(shown, echo, [])
    assert not figure.hold_render
