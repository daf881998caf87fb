"""The HubExplorer as a kernel drives it."""

from __future__ import annotations

import pytest
from jupyter_bokeh import BokehModel

from moma_app.errors import UnknownNameError
from moma_app.hub.hub import Hub
from moma_app.widgets import HubExplorer


@pytest.fixture
def explorer():
    widget = HubExplorer("builtin")
    yield widget
    widget.close()


def test_all_modules_are_found_at_first(explorer):
    assert {card.name for card in explorer.found} == set(Hub.open("builtin"))
    assert explorer.selected is None
    assert explorer.error is None


def test_text_family_and_kind_narrow_the_search(explorer):
    explorer.text.value = "KVRH"
    assert explorer.found
    assert all("kvrh" in card.name for card in explorer.found)
    explorer.text.value = ""
    explorer.family.value = "electronic"
    assert "mp_bandgap" in {card.name for card in explorer.found}
    assert "mp_kvrh" not in {card.name for card in explorer.found}
    explorer.family.value = ""
    explorer.kind.value = "full"
    assert {card.kind for card in explorer.found} == {"full"}
    explorer.text.value = "no such module"
    assert explorer.found == []
    assert "change the search" in explorer._line.value


def test_a_click_on_a_card_shows_the_module_with_its_learning_curve(explorer):
    heard = []
    explorer.on_select(heard.append)
    name, card = next(iter(explorer._cards.items()))
    card.children[0].click()
    assert explorer.selected.name == name
    assert heard == [explorer.selected]
    assert "Test error" in explorer._detail.value
    assert "moma-chosen" in card._dom_classes
    (figure,) = explorer._figure.children
    assert isinstance(figure, BokehModel)


def test_more_modules_than_fit_have_pages(tmp_path):
    from module_factory import make_card, make_module

    hub = Hub(tmp_path)
    for number in range(15):
        hub.add(make_module(make_card(name=f"module_{number:02d}")))
    explorer = HubExplorer(hub)
    assert len(explorer._cards) == 12
    explorer.sheet.value = 2
    assert list(explorer._cards) == ["module_12", "module_13", "module_14"]
    explorer.text.value = "module_00"
    assert list(explorer._cards) == ["module_00"]
    explorer.close()


def test_a_module_can_be_named_and_must_exist(explorer):
    explorer.select("mp_kvrh")
    assert explorer.selected.card.target.task == "mp_kvrh"
    with pytest.raises(UnknownNameError, match="did you mean mp_kvrh"):
        explorer.select("mp_kvrhh")


def test_where_nothing_runs_there_is_a_table_with_curves(explorer):
    explorer.select("mp_kvrh")
    page = explorer._repr_mimebundle_()["text/html"]
    assert "mp_kvrh" in page
    assert "<polyline" in page
    assert "<script" not in page
