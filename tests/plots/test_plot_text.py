"""Numbers and text as they are printed."""

from __future__ import annotations

import math

import pytest

from moma_app.plots import text


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.01214, "0.0121"),
        (-0.01214, "−0.0121"),
        (0.09996, "0.100"),
        (9.996, "10.0"),
        (1234.5, "1234"),
        (999_999, "1.00×10⁶"),
        (3.2e-7, "3.20×10⁻⁷"),
        (0, "0"),
        (None, "–"),
        (math.nan, "–"),
        (-math.inf, "–"),
    ],
)
def test_number(value, printed):
    assert text.number(value) == printed


def test_columns_share_their_decimals():
    assert text.column([0.096, 0.1003, 0.1993, None]) == ["0.0960", "0.1003", "0.1993", "–"]
    assert text.column([-0.5, 12.0]) == ["−0.500", "12.000"]
    assert text.column([1e-7, 1.0]) == ["1.00×10⁻⁷", "1.00"]
    assert text.column([]) == []
    assert text.column([0.0, 2.0]) == ["0.00", "2.00"]


def test_weights():
    assert [text.weight_text(w) for w in (0, 1e-5, 0.0012, 0.43, 1)] == [
        "0",
        "<0.001",
        "0.001",
        "0.430",
        "1.000",
    ]


def test_plain_text_is_one_line_without_tex():
    assert text.plain("a\n b\tc\x00d") == "a b c d"
    assert "$$" not in text.plain("$$x$$")
    assert "\\(" not in text.plain("\\(x\\)")
    assert "\\[" not in text.plain("\\[x\\]")
    assert len(text.plain("x" * 1000)) == 200


def test_shorten_keeps_both_ends():
    assert text.shorten("abcdefghij", 10) == "abcdefghij"
    short = text.shorten("abcdefghijklmnop", 10)
    assert len(short) == 10
    assert short.startswith("abc")
    assert short.endswith("p")


def test_units():
    assert text.with_unit("MAE", "eV") == "MAE (eV)"
    assert text.with_unit("MAE", "log10(GPa)") == "MAE [log10(GPa)]"
    assert text.with_unit("MAE", "") == "MAE"
    assert text.with_unit_after(0.5, "") == "0.500"


def test_durations_and_percents():
    assert [text.seconds_text(s) for s in (3.42, 59.99, 125, 4320)] == [
        "3.4 s",
        "60.0 s",
        "2 min 5 s",
        "1 h 12 min",
    ]
    assert [text.signed_percent(p) for p in (-16.55, 3, 0)] == ["−16.6 %", "+3.0 %", "±0.0 %"]
    assert text.distinct(["a", "a", "a (2)", "b"]) == ["a", "a (2)", "a (2) (2)", "b"]
