"""Figures in which nothing runs."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ase.build import bulk, molecule
from hypothesis import given
from hypothesis import strategies as st

from moma_app.plots.crystals.frame import HERE, LIBRARY, sent_structures, structure_frame
from moma_app.plots.crystals.payload import payload_of
from moma_app.plots.crystals.picture import structure_svg
from moma_app.plots.insight_values import Insights
from moma_app.plots.payloads import CurveSeries, curves_of
from moma_app.plots.still import sparkline, still_curves, still_map, still_table
from moma_app.structures import Crystal

EVIL = "<script>alert(1)</script>"
SVG = "{http://www.w3.org/2000/svg}"


def numbers_of(points: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", points)]


def test_a_crystal_is_drawn_inside_its_picture():
    salt = payload_of(Crystal.from_any(bulk("NaCl", "rocksalt", 5.64, cubic=True)))
    drawn = ET.fromstring(structure_svg(salt, size=200))
    circles = drawn.findall(f"{SVG}circle")
    assert len(circles) == len(salt["kinds"])
    assert len(drawn.findall(f"{SVG}line")) == 12 + len(salt["bonds"])
    for circle in circles:
        x, y, r = (float(circle.get(name)) for name in ("cx", "cy", "r"))
        assert r <= x <= 200 - r
        assert r <= y <= 200 - r
    assert {circle.get("fill") for circle in circles} == {element["color"] for element in salt["elements"]}


def test_a_molecule_has_no_cell():
    water = payload_of(Crystal.from_any(molecule("H2O")))
    drawn = ET.fromstring(structure_svg(water))
    assert len(drawn.findall(f"{SVG}circle")) == 3
    assert len(drawn.findall(f"{SVG}line")) == 2 * 2, "two bonds of two halves"


def test_near_atoms_hide_far_ones():
    payload = payload_of(Crystal.from_any(bulk("Cu", cubic=True)))
    depths = np.array(payload["positions"]).reshape(-1, 3)[:, 2]
    drawn = ET.fromstring(structure_svg(payload)).findall(f"{SVG}circle")
    ys = [float(circle.get("cy")) for circle in drawn]
    assert len(ys) == len(depths)


@given(
    values=st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=20),
    extra=st.sampled_from([math.nan, math.inf]),
)
def test_curves_stay_inside_their_frame(values, extra):
    epochs = list(range(1, len(values) + 2))
    series = CurveSeries("fit", epochs, [*values, extra], [*values[::-1], values[0]], (1, values[-1]))
    drawn = ET.fromstring(still_curves(curves_of([series], "eV")))
    lines = drawn.findall(f"{SVG}polyline")
    assert len(lines) == 2
    for line in lines:
        points = np.array(numbers_of(line.get("points"))).reshape(-1, 2)
        assert (points[:, 0] >= 70 - 0.1).all()
        assert (points[:, 0] <= 520 - 12 + 0.1).all()
        assert (points[:, 1] >= 12 - 0.1).all()
        assert (points[:, 1] <= 220 - 40 + 0.1).all()


def test_a_curve_without_numbers_says_so():
    series = CurveSeries("fit", [1], [math.nan], [math.nan], None)
    assert "no learning curve" in still_curves(curves_of([series], "eV"))


def test_a_sparkline_needs_two_points():
    assert sparkline([1.0], "one") == ""
    assert "polyline" in sparkline([3.0, 1.0, 2.0], "errors")
    assert "polyline" in sparkline([1.0, 1.0], "flat")


def test_text_of_users_is_never_markup():
    assert EVIL not in still_table([EVIL], [[EVIL]])
    assert EVIL not in still_curves(curves_of([CurveSeries(EVIL, [1, 2], [1, 2], [1, 2], None)], EVIL))
    payload = payload_of(Crystal.from_any(bulk("Cu")), label=EVIL, note=EVIL)
    assert EVIL not in structure_frame([payload])
    assert EVIL not in sent_structures("key", [payload])


def test_a_map_is_a_picture():
    page = still_map(Insights(["a", "b"], ["t"], [[0.2, 0.8]]))
    assert page.startswith('<img src="data:image/svg+xml;base64,')


def test_a_frame_holds_all_that_it_needs():
    payload = payload_of(Crystal.from_any(bulk("Cu")), label="copper")
    frame = structure_frame([payload], key="abc", height=300)
    assert "height:300px" in frame
    assert "copper" in frame
    assert not re.search(r"(src|href)=.?https?:", frame)
    assert len(frame) < (HERE / LIBRARY).stat().st_size / 2, "the library is packed"


@pytest.mark.parametrize("mode", ["auto", "light", "dark"])
def test_a_frame_follows_a_theme(mode):
    assert f"&quot;mode&quot;:&quot;{mode}&quot;" in structure_frame([], mode=mode)
