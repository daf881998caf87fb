"""Text from anywhere is shown as it is."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panel.pane import Markdown

from dashboards.components.layout import literal


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60))
def test_text_is_its_own_html(text):
    assert unescape(literal(text)) == text
    assert "<" not in literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "mp_poisson_ratio",
        "*x*",
        "# x",
        "1. x",
        "[a](javascript:b)",
        "`x`",
        "- x",
        "a & b",
    ],
)
def test_text_is_no_markdown(text):
    parser = Markdown._get_parser("markdown-it", ())
    html = parser.render(literal(text))
    assert html.startswith("<p>")
    assert unescape(html.strip()[3:-4]) == text
    assert html.count("<") == 2
