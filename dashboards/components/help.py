"""AMC in two sentences and its equations, where it is used."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable

_TEXT = """
<p>Every module encodes the training structures, and predicts each one's target from its K nearest neighbours
among the others, without training: the error of that estimate is the module's <em>proxy error</em>. AMC then finds
the convex weights with which the modules' estimates together fit the targets best, and averages the modules' parameters
with them.</p>
"""
_EQUATIONS = """
<math display="block"><mrow>
<msubsup><mi>ŷ</mi><mi>i</mi><mi>j</mi></msubsup><mo>=</mo>
<mfrac>
<mrow><munder><mo>∑</mo><mrow><mi>k</mi><mo>∈</mo><msub><mi>N</mi><mi>K</mi></msub><mo>(</mo><mi>i</mi><mo>)</mo></mrow></munder>
<msup><mi>e</mi><mrow><mi>cos</mi><mo>(</mo><msubsup><mi>x</mi><mi>i</mi><mi>j</mi></msubsup><mo>,</mo>
<msubsup><mi>x</mi><mi>k</mi><mi>j</mi></msubsup><mo>)</mo><mo>/</mo><mi>T</mi></mrow></msup><msub><mi>y</mi><mi>k</mi></msub></mrow>
<mrow><munder><mo>∑</mo><mrow><mi>k</mi><mo>∈</mo><msub><mi>N</mi><mi>K</mi></msub><mo>(</mo><mi>i</mi><mo>)</mo></mrow></munder>
<msup><mi>e</mi><mrow><mi>cos</mi><mo>(</mo><msubsup><mi>x</mi><mi>i</mi><mi>j</mi></msubsup><mo>,</mo>
<msubsup><mi>x</mi><mi>k</mi><mi>j</mi></msubsup><mo>)</mo><mo>/</mo><mi>T</mi></mrow></msup></mrow>
</mfrac><mspace width="2em"/>
<munder><mi>min</mi><mrow><mi>w</mi><mo>≥</mo><mn>0</mn><mo>,</mo><mo>∑</mo><msub><mi>w</mi><mi>j</mi></msub><mo>=</mo><mn>1</mn></mrow></munder>
<mfrac><mn>1</mn><mi>m</mi></mfrac><munder><mo>∑</mo><mi>i</mi></munder>
<msup><mrow><mo>(</mo><munder><mo>∑</mo><mi>j</mi></munder><msub><mi>w</mi><mi>j</mi></msub><msubsup><mi>ŷ</mi><mi>i</mi><mi>j</mi></msubsup>
<mo>−</mo><msub><mi>y</mi><mi>i</mi></msub><mo>)</mo></mrow><mn>2</mn></msup><mspace width="2em"/>
<mi>g</mi><mo>=</mo><munder><mo>∑</mo><mi>j</mi></munder><msub><mi>w</mi><mi>j</mi></msub><msub><mi>g</mi><mi>j</mi></msub>
</mrow></math>
"""
_LEGEND = """
<p class="small">ŷ: kNN estimate of structure i by module j, leaving i out; x: crystal embedding; y: target in standard deviations;
w: weights; g: the modules' parameters. Eq. 1 to 4 of the MoMa paper, there with T = 1; the default here, 0.2, is that of the authors'
code.</p>
"""
_STYLE = """
:host { color: inherit; font: 13px system-ui, sans-serif; }
p { margin: 4px 0; line-height: 1.5; max-width: 110ch; }
math { margin: 8px 0; overflow-x: auto; font-size: 1.05rem; }
.small { font-size: 12px; opacity: 0.8; }
"""


def amc_help() -> Viewable:
    """Return what AMC does, in two sentences with the equations behind a fold."""
    return pn.pane.HTML(
        f"{_TEXT}<details><summary>Equations</summary>{_EQUATIONS}{_LEGEND}</details>",
        stylesheets=[_STYLE],
        sizing_mode="stretch_width",
        margin=(0, 10),
    )
