"""The part of a report about the composition: modules, weights, and the method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.markup import Child, Markup, element, fold, join, table
from moma_app.plots import figures
from moma_app.plots.bar_values import TOP, sorted_scores
from moma_app.plots.page import Figure
from moma_app.plots.text import column, count, number, weight_text, with_unit

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult, ModuleScore

TABLE_ROWS = 10
"""Modules without weight that the table shows before the fold."""


def composition_section(result: AMCResult, drawn: dict[str, Figure]) -> Markup:
    """Return weights and proxy errors of the modules, and how they came about; draw the weights."""
    parts: list[Child] = [element("h2", "Composition"), _explanation(result)]
    if result.modules:
        drawn["weights"] = Figure(figures.weight_bars(result), figures.weight_bars(result, mode="dark"))
        scores = sorted_scores(result)
        n_shown = max(TABLE_ROWS, min(TOP, sum(score.weight > 0 for score in scores)))
        shown, rest = scores[:n_shown], scores[n_shown:]
        parts += [element("div", id="weights", class_="figure"), _modules_table(shown, result)]
        if rest:
            parts.append(fold(count(len(rest), "more module"), _modules_table(rest, result)))
    if result.skipped:
        parts += [
            element("h3", "Left out"),
            table(["Module", "Reason"], ([name, why] for name, why in result.skipped.items())),
        ]
    return element("section", *parts)


def _modules_table(scores: Sequence[ModuleScore], result: AMCResult) -> Markup:
    columns: dict[str, Sequence[Child]] = {
        "Module": [
            element("span", score.module, class_="used") if score.weight > 0 else score.module
            for score in scores
        ],
        "Predicts": [with_unit(score.property, score.unit) for score in scores],
        with_unit("Proxy MAE", result.unit): column([score.proxy_mae for score in scores]),
        "Proxy MAE (std. dev.)": column([score.proxy_mae_standardised for score in scores]),
        "Weight": [weight_text(score.weight) for score in scores],
    }
    return table(columns, zip(*columns.values(), strict=True), numbers=(2, 3, 4))


def _explanation(result: AMCResult) -> Markup:
    return join(
        [
            element(
                "p",
                "Adaptive module composition (AMC) lets every module of the hub estimate each training "
                "structure from its ",
                element("i", "K"),
                f" = {result.k} nearest other training structures in that module's embedding: no training is "
                "needed, and the error of this estimate is the module's proxy error. It then finds the weights "
                "with which the modules' estimates together come closest to the true values, and averages the "
                "modules' parameters with these weights:",
            ),
            element("div", Markup(_EQUATION_2), Markup(_EQUATION_3), class_="equations"),
            element(
                "p",
                "Here ŷ",
                element("sub", "ij"),
                " is the estimate for structure ",
                element("i", "i"),
                " by module ",
                element("i", "j"),
                ", y",
                element("sub", "i"),
                " the true value, both in standard deviations of the training targets; ",
                element("i", "m"),
                f" = {len(result.train_ids):,} and ",
                element("i", "N"),
                f" = {len(result.modules):,}. The minimum reached is {number(result.objective)}.",
                class_="note",
            ),
        ]
    )


_EQUATION_2 = """
<math display="block"><mi>E</mi><mo stretchy="false">(</mo><mi>w</mi><mo stretchy="false">)</mo><mo>=</mo>
<mfrac><mn>1</mn><mi>m</mi></mfrac>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>m</mi></munderover>
<msup><mrow><mo>(</mo>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>j</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>
<msub><mi>w</mi><mi>j</mi></msub><mspace width="0.17em"/><msub><mover accent="true"><mi>y</mi><mo>^</mo></mover><mrow><mi>i</mi><mi>j</mi></mrow></msub>
<mo>−</mo><msub><mi>y</mi><mi>i</mi></msub><mo>)</mo></mrow><mn>2</mn></msup>
<mspace width="2em"/><mtext>(Eq. 2)</mtext></math>"""
_EQUATION_3 = """
<math display="block"><msup><mi>w</mi><mo>*</mo></msup><mo>=</mo>
<munder><mrow><mi mathvariant="normal">arg min</mi></mrow><mi>w</mi></munder><mspace width="0.3em"/>
<mi>E</mi><mo stretchy="false">(</mo><mi>w</mi><mo stretchy="false">)</mo>
<mspace width="1em"/><mtext>with</mtext><mspace width="0.5em"/>
<msub><mi>w</mi><mi>j</mi></msub><mo>≥</mo><mn>0</mn><mo>,</mo><mspace width="0.5em"/>
<munderover><mo movablelimits="false">∑</mo><mrow><mi>j</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>
<msub><mi>w</mi><mi>j</mi></msub><mo>=</mo><mn>1</mn>
<mspace width="2em"/><mtext>(Eq. 3)</mtext></math>"""
