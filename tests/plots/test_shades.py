"""Maps can be read with any colour vision: by lightness alone, and so can the text on them."""

from __future__ import annotations

import pytest

from moma_app.plots import shades
from moma_app.plots.theme import COLORS, MODES


@pytest.mark.parametrize("mode", MODES)
def test_shades_stand_out_ever_more_from_the_surface(mode):
    ratios = [shades.contrast(color, COLORS[mode].surface) for color in shades.shades(mode)]
    assert ratios == sorted(ratios)
    assert ratios[0] > 1.2
    assert ratios[-1] > 10


@pytest.mark.parametrize("mode", MODES)
def test_text_can_be_read_on_every_shade(mode):
    assert all(shades.contrast(shades.readable_on(c), c) >= 4.5 for c in shades.shades(mode))


def test_contrast_is_that_of_the_guidelines():
    assert shades.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert shades.contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_blend_ends_where_it_should():
    blended = shades.blend(["#000000", "#ff0000", "#ffffff"], 5)
    assert blended == ["#000000", "#800000", "#ff0000", "#ff8080", "#ffffff"]


def test_levels_beyond_the_scale_have_its_ends():
    assert shades.shade(-3, "light") == shades.shades("light")[0]
    assert shades.shade(7, "light") == shades.shades("light")[-1]
