"""Distributions of a dataset: targets, classes, and sizes of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moma_app.errors import InputError
from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, two_lines
from moma_app.plots.histogram_values import Histogram, finite_array, histogram
from moma_app.plots.text import count, distinct, number, plain, shorten, with_unit
from moma_app.plots.theme import COLORS, Mode, series_color, styled

HEIGHT = 260
_EDGES = ["left", "bottom", "right", "top"]
_COLUMNS = ["series", "range", "rows", "share"]


def target_histogram(
    values: Sequence[float],
    quantity: str,
    unit: str,
    *,
    other: Mapping[str, Sequence[float]] | None = None,
    classes: Sequence[str] | None = None,
    mode: Mode = "light",
) -> Any:
    """Draw how many structures have which value.

    Args:
        values: targets of the dataset.
        quantity, unit: of the targets.
        other: more series by name (the train rows of a split), drawn as outlines over the same bins.
        classes: the targets are classes, a bar for each; names by index, as far as they have some.
        mode: light or dark.
    """
    series = {"all": values, **(other or {})}
    name = shorten(plain(quantity) or "value", 28)
    axis = with_unit(name[0].upper() + name[1:], plain(unit))
    if classes is not None:
        return _class_bars(series, name, classes, mode)
    return _bars(histogram(series), axis, plain(unit), mode)


def sizes_histogram(
    sizes: Sequence[int], *, other: Mapping[str, Sequence[int]] | None = None, mode: Mode = "light"
) -> Any:
    """Draw how many structures have how many atoms in their cell."""
    return _bars(
        histogram({"all": sizes, **(other or {})}, whole=True), "Atoms in the cell", "", mode, whole=True
    )


def _bars(data: Histogram, xlabel: str, unit: str, mode: Mode, *, whole: bool = False) -> Any:
    edges = list(zip(data.edges[:-1], data.edges[1:], strict=True))
    texts = _ranges(data, unit, whole=whole)
    return (
        holoviews()
        .Overlay(_layers(data.counts, edges, texts, mode))
        .opts(**_frame(data.counts, mode), xlabel=two_lines(xlabel, _note(data)), xlim=_limits(data.edges))
    )


def _limits(edges: Sequence[float]) -> tuple[float, float]:
    """Return the range of the bins, and some room beside them if they are few."""
    room = (edges[-1] - edges[0]) if len(edges) == 2 else 0.02 * (edges[-1] - edges[0])
    return edges[0] - room, edges[-1] + room


def _class_bars(
    series: Mapping[str, Sequence[float]], name: str, class_names: Sequence[str], mode: Mode
) -> Any:
    found = {label: finite_array(values).round().astype(int).tolist() for label, values in series.items()}
    classes = sorted(set(found["all"]))
    if not classes:
        raise InputError("There is no class to count.")
    named = distinct(
        shorten(plain(class_names[c]), 24) if 0 <= c < len(class_names) else str(c) for c in classes
    )
    counts = {label: [values.count(c) for c in classes] for label, values in found.items()}
    edges = [(i - 0.38, i + 0.38) for i in range(len(classes))]
    return (
        holoviews()
        .Overlay(_layers(counts, edges, named, mode))
        .opts(
            **_frame(counts, mode),
            xlabel=f"Class of {name}",
            xticks=list(enumerate(named)),
            xlim=(-0.6, max(len(classes) - 0.4, 3.6)),
        )
    )


def _layers(
    counts: Mapping[str, Sequence[int]],
    edges: Sequence[tuple[float, float]],
    texts: Sequence[str],
    mode: Mode,
) -> list[Any]:
    """Return a layer of bars for each series.

    Args:
        counts: heights of the bars by series.
        edges: left and right of each bar.
        texts: what each bar holds.
        mode: light or dark.
    """
    layers = []
    for index, (name, heights) in enumerate(counts.items()):
        table = {
            "left": [left for left, _ in edges],
            "bottom": [0.0] * len(edges),
            "right": [right for _, right in edges],
            "top": list(heights),
            "series": [plain(name, 40)] * len(edges),
            "range": list(texts),
            "rows": [f"{n:,}" for n in heights],
            "share": [f"{100 * n / max(1, sum(heights)):.1f} %" for n in heights],
        }
        layers.append(
            holoviews()
            .Rectangles(table, _EDGES, _COLUMNS, label=plain(name, 40))
            .opts(**_fill(index, mode), tools=[_box(len(counts))], **PLAIN_TOOLS)
        )
    return layers


def _fill(index: int, mode: Mode) -> dict[str, Any]:
    """Return the look of a series: the first one filled, the others as outlines over it."""
    color = series_color(index, mode)
    if index == 0:
        return {"fill_color": color, "line_color": COLORS[mode].surface, "line_width": 1}
    return {"fill_color": color, "fill_alpha": 0.0, "line_color": color, "line_width": 2}


def _frame(counts: Mapping[str, Sequence[int]], mode: Mode) -> dict[str, Any]:
    return {
        "title": "",
        "ylabel": "Structures",
        "ylim": (0, 1.08 * max(1, *(max(heights) for heights in counts.values()))),
        "responsive": True,
        "height": HEIGHT,
        "min_width": 300,
        "show_grid": True,
        "show_legend": len(counts) > 1,
        "legend_position": "top_right",
        "toolbar": None,
        "hooks": [styled(mode, XGrid={"grid_line_color": None}), _whole_counts],
        **PLAIN_TOOLS,
    }


def _ranges(data: Histogram, unit: str, *, whole: bool) -> list[str]:
    """Write what each bin holds."""
    last = len(data.edges) - 2
    result = []
    for index, (low, high) in enumerate(zip(data.edges[:-1], data.edges[1:], strict=True)):
        first, final = (
            (f"{low + 0.5:,.0f}", f"{high - 0.5:,.0f}") if whole else (number(low, 4), number(high, 4))
        )
        text = first if whole and first == final else f"{first} to {final} {unit}".rstrip()
        text += " and below" if index == 0 and data.n_below else ""
        result.append(text + (" and above" if index == last and data.n_above else ""))
    return result


def _note(data: Histogram) -> str:
    said = []
    if data.n_below:
        said.append(f"first bar: also {count(data.n_below, 'value')} below")
    if data.n_above:
        said.append(f"last bar: also {count(data.n_above, 'value')} above")
    if data.n_left_out:
        said.append(f"{count(data.n_left_out, 'value')} not finite left out")
    return "; ".join(said)


def _box(n_series: int) -> Any:
    columns = [("value", "range"), ("structures", "rows"), ("share", "share")]
    return hover(*([("series", "series")] if n_series > 1 else []), *columns)


def _whole_counts(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    from bokeh.models import BasicTicker, NumeralTickFormatter

    plot.state.yaxis[0].update(
        ticker=BasicTicker(min_interval=1, num_minor_ticks=0), formatter=NumeralTickFormatter(format="0,0")
    )
