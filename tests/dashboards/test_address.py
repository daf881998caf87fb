"""A page's state in its address."""

from __future__ import annotations

import param
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.address import PageState, query_of


class Example(PageState):
    task = param.String()
    split = param.Integer(default=0, bounds=(0, None))
    t = param.Number(default=0.2)
    off = param.List(default=[], item_type=str)
    fine = param.Boolean(default=False)
    shots = param.Integer(default=None, allow_None=True)


NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=","), min_size=1, max_size=20)


@given(
    task=NAMES,
    split=st.integers(0, 10**6),
    off=st.lists(NAMES, max_size=5),
    fine=st.booleans(),
    shots=st.none() | st.integers(0, 10**6),
)
def test_an_address_gives_back_the_state(task, split, off, fine, shots):
    state = Example()
    state.param.update(task=task, split=split, off=off, fine=fine, shots=shots)
    again = Example(state.query)
    assert (again.task, again.split, again.off, again.fine, again.shots) == (task, split, off, fine, shots)


def test_a_state_as_by_default_has_a_plain_address():
    assert Example().query == ""


@pytest.mark.parametrize("query", ["?split=-1", "?split=two", "?t=x", "?fine=maybe"])
def test_what_does_not_fit_is_left_out_and_told(query):
    state = Example(query)
    assert state.query == ""
    assert state.refused == [query[1:]]


def test_unknown_names_are_ignored():
    assert Example("?page=compose&x=1").refused == []


def test_links_leave_out_what_is_empty():
    assert query_of({"run": "abc", "task": "", "split": 0, "off": []}) == "?run=abc&split=0"
