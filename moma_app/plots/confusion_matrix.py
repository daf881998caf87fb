"""Confusion matrices of classifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots.drawing import PLAIN_TOOLS, SQUARE, SQUARE_BORDERS, holoviews, hover, literal_title
from moma_app.plots.parity_values import confusion_counts
from moma_app.plots.shades import blend
from moma_app.plots.text import shorten
from moma_app.plots.theme import COLORS, Mode, styled

if TYPE_CHECKING:
    from moma_app.training.outcome import FitReport


def confusion(reports: Sequence[FitReport], *, mode: Mode = "light") -> Any:
    """Draw how many test rows of each class were predicted to be of which, one panel for each fit."""
    panels = [_confusion_panel(report, mode) for report in reports]
    if len(panels) == 1:
        return panels[0]
    return holoviews().Layout(panels).opts(toolbar=None, shared_axes=False)


def _confusion_panel(report: FitReport, mode: Mode) -> Any:
    hv = holoviews()
    data = confusion_counts(report)
    colors = COLORS[mode]
    names = [str(c) for c in data.classes]
    cells = [
        (names[j], names[i], data.counts[i][j], data.counts[i][j] / max(1, sum(data.counts[i])))
        for i in range(len(names))
        for j in range(len(names))
    ]
    heat = hv.HeatMap(
        [(p, t, share, n) for p, t, n, share in cells], ["predicted", "true"], ["share", "rows"]
    )
    box = hover(
        ("true class", "true"), ("predicted", "predicted"), ("rows", "rows"), ("share", "share{0.0%}")
    )
    texts = [
        hv.Labels(
            [(p, t, f"{n:,}") for p, t, n, share in cells if (share > 0.5) is strong],
            ["predicted", "true"],
            "text",
        ).opts(text_color=colors.surface if strong else colors.ink, text_font_size="13px", backend="bokeh")
        for strong in (False, True)
    ]
    return hv.Overlay(
        [
            heat.opts(
                cmap=blend(colors.heat),
                clim=(0, 1),
                line_color=colors.surface,
                line_width=2,
                tools=[box],
                **PLAIN_TOOLS,
            ),
            *texts,
        ]
    ).opts(
        title=literal_title(f"{data.label}: accuracy {100 * data.accuracy:.1f} %"),
        xlabel=f"Predicted class of {shorten(data.quantity, 40)}",
        ylabel="True class",
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        toolbar=None,
        invert_yaxis=True,
        show_legend=False,
        hooks=[styled(mode, Plot=SQUARE_BORDERS)],
        **PLAIN_TOOLS,
    )
