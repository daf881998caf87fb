"""Every figure once, as a HoloViews object on Bokeh.

All take ``mode``, ``"light"`` or ``"dark"``, fill the width they are given, show ids on hover and
units on every axis. Text from users is shown literally.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from moma_app.plots import payloads
from moma_app.plots.text import column, number, shorten, weight_text, with_unit
from moma_app.plots.theme import COLORS, FONT, TICK_SIZE, Mode, marker, series_color, styled

if TYPE_CHECKING:
    from moma_app.amc.result import AMCResult
    from moma_app.training.outcome import FitReport

ROW_HEIGHT = 24
"""Pixels for one module in a bar chart."""
CURVE_HEIGHT = 320
SQUARE = 520
"""Width in pixels up to which a square figure is made to grow."""


def weight_bars(result: AMCResult, *, top: int = payloads.TOP, mode: Mode = "light") -> Any:
    """Draw the weights as bars, and beside each module its proxy error.

    Args:
        result: the composition.
        top: modules shown at most; the axis says how many more there are.
        mode: light or dark.

    Returns:
        A HoloViews layout of two panels that share their rows.
    """
    data = payloads.module_bars(result, "weight", top)
    weights = _weight_panel(data, mode)
    errors = _error_panel(data, mode)
    return (weights + errors).opts(toolbar=None, shared_axes=False, merge_tools=False)


def proxy_bars(result: AMCResult, *, top: int = payloads.TOP, mode: Mode = "light") -> Any:
    """Draw the proxy errors as bars from zero, lowest first; modules with a weight in full colour."""
    hv = _holoviews()
    data = payloads.module_bars(result, "proxy error", top)
    n = len(data.bars)
    colors = COLORS[mode]
    fill = [series_color(1, mode) if bar.weight > 0 else colors.axis for bar in data.bars]
    values = [bar.proxy_mae for bar in data.bars]
    longest = max(payloads.finite(values), default=1.0) or 1.0
    bars = _bars(data, values, fill).opts(**_bar_style(data))
    labels = _value_labels(values, column(values), mode)
    remark = f"{data.note.replace(' with weight 0', '')}, all with a higher error" if data.n_hidden else ""
    return hv.Overlay([bars, labels]).opts(
        **_panel(n, remark, mode),
        xlabel=_with_note(with_unit("Proxy error: kNN MAE", data.unit), data.n_hidden, remark),
        xlim=(0, 1.18 * longest),
        yticks=_row_ticks(data),
    )


def learning_curves(reports: Sequence[FitReport], *, mode: Mode = "light") -> Any:
    """Draw validation (solid) and training (dashed) error against the epoch, one colour for each fit.

    A ring marks the epoch whose weights were kept. The error axis is logarithmic if the curves
    span more than a factor of 8.
    """
    hv = _holoviews()
    data = payloads.curves(reports)
    layers = []
    for index, line in enumerate(data.series):
        color = series_color(index, mode)
        columns = {"epoch": line.epochs, "fit": [line.label] * len(line.epochs)}
        for part, errors, dash in (
            ("training", line.train, "dashed"),
            ("validation", line.validation, "solid"),
        ):
            table = {**columns, "error": errors, "part": [part] * len(errors)}
            label = line.label if part == "validation" else ""
            layers.append(
                hv.Curve(table, "epoch", ["error", "fit", "part"], label=label).opts(
                    color=color,
                    line_dash=dash,
                    line_width=2 if part == "validation" else 1.4,
                    tools=[_hover([("fit", "@fit"), ("epoch", "@epoch"), ("@part", "@error")])],
                    **_PLAIN_TOOLS,
                )
            )
        if line.best is not None:
            layers.append(
                hv.Scatter(([line.best[0]], [line.best[1]]), "epoch", "error").opts(
                    color=COLORS[mode].surface, line_color=color, line_width=2, size=9, **_PLAIN_TOOLS
                )
            )
    ticks = _log_ticks(data) if data.log else None
    return hv.Overlay(layers).opts(
        title="Validation (solid) and training (dashed) error; the ring marks the weights kept",
        xlabel="Epoch",
        ylabel=data.error,
        logy=data.log,
        **({"yticks": ticks} if ticks else {}),
        responsive=True,
        height=CURVE_HEIGHT,
        show_legend=True,
        legend_position="top_right",
        toolbar="above",
        padding=(0.02, 0.06),
        hooks=[
            styled(mode, Title={"text_font_style": "normal", "text_color": COLORS[mode].muted}),
            _integer_x,
        ],
        **_PLAIN_TOOLS,
    )


def parity(
    reports: Sequence[FitReport],
    *,
    limits: tuple[float, float] | None = None,
    first: int = 0,
    most: int | None = 5000,
    mode: Mode = "light",
) -> Any:
    """Draw predicted against true values of the test rows, one colour and shape for each fit.

    Args:
        reports: fits of one task; fits of classes give their confusion matrices.
        limits: of both axes, to give several panels the same ones.
        first: number of the first colour, so that a fit keeps its colour over panels.
        most: points drawn for each fit.
        mode: light or dark.
    """
    if reports and all(payloads.is_classification(report) for report in reports):
        return confusion(reports, mode=mode)
    data = payloads.parity_values(reports, most)
    names = [f"{line.label}: MAE {with_unit_after(line.mae, data.unit)}" for line in data.series]
    return _square_scatter(
        data,
        names,
        limits=limits,
        first=first,
        mode=mode,
        xlabel=_value_axis("True", data),
        ylabel=_value_axis("Predicted", data),
    )


def knn_scatter(result: AMCResult, module: str, *, most: int | None = 5000, mode: Mode = "light") -> Any:
    """Draw the leave-one-out kNN predictions of one module against the true values of the train rows."""
    data = payloads.knn_values(result, module, most)
    line = data.series[0]
    name = f"{shorten(line.label, payloads.LABEL_LENGTH)}: proxy MAE {with_unit_after(line.mae, data.unit)}"
    return _square_scatter(
        data,
        [name],
        limits=None,
        first=1,
        mode=mode,
        xlabel=_value_axis("True", data),
        ylabel=_value_axis("kNN estimate of", data),
    )


def confusion(reports: Sequence[FitReport], *, mode: Mode = "light") -> Any:
    """Draw how many test rows of each class were predicted to be of which, one panel for each fit."""
    panels = [_confusion_panel(report, mode) for report in reports]
    if len(panels) == 1:
        return panels[0]
    return _holoviews().Layout(panels).opts(toolbar=None, shared_axes=False)


def with_unit_after(value: float, unit: str) -> str:
    """Write a value with its unit: 0.0121 eV/atom."""
    return f"{number(value)} {unit}".rstrip()


# ---------------------------------------------------------------------- parts of bar charts


_PLAIN_TOOLS: dict[str, Any] = {"default_tools": [], "backend": "bokeh"}


def _weight_panel(data: payloads.ModuleBars, mode: Mode) -> Any:
    hv = _holoviews()
    values = [bar.weight for bar in data.bars]
    longest = max(payloads.finite(values), default=0.0) or 1.0
    bars = _bars(data, values, [series_color(0, mode)] * len(values)).opts(**_bar_style(data))
    labels = _value_labels(values, [weight_text(value) for value in values], mode)
    return hv.Overlay([bars, labels]).opts(
        **_panel(len(values), data.note, mode),
        xlabel=_with_note("Composition weight", data.n_hidden, data.note),
        xlim=(0, 1.18 * longest),
        yticks=_row_ticks(data),
    )


def _error_panel(data: payloads.ModuleBars, mode: Mode) -> Any:
    hv = _holoviews()
    colors = COLORS[mode]
    shown = [(row, bar) for row, bar in enumerate(data.bars) if math.isfinite(bar.proxy_mae)]
    errors = [bar.proxy_mae for _, bar in shown]
    low, high = min(errors, default=0.0), max(errors, default=1.0)
    margin = 0.12 * (high - low) or 0.12 * abs(high) or 1.0
    table = {
        "error": errors,
        "row": [-row for row, _ in shown],
        "color": [series_color(1, mode) if bar.weight > 0 else colors.axis for _, bar in shown],
        **_bar_columns([bar for _, bar in shown]),
    }
    dots = hv.Points(table, ["error", "row"], ["color", *_BAR_COLUMNS]).opts(
        color="color", size=9, tools=[_hover(_bar_tooltips(data))], **_PLAIN_TOOLS
    )
    best = hv.VLine(low).opts(color=colors.axis, line_dash="dotted", line_width=1, backend="bokeh")
    return hv.Overlay([best, dots] if shown else [dots]).opts(
        **_panel(len(data.bars), data.note, mode, ygrid=True),
        xlabel=_with_note(with_unit("Proxy error: kNN MAE", data.unit), data.n_hidden, ""),
        xlim=(low - margin, high + margin),
        yticks=[(-row, "") for row in range(len(data.bars))],
    )


_BAR_COLUMNS = ("module", "predicts", "weight", "proxy", "proxy_std")


def _bar_columns(bars: Sequence[payloads.ModuleBar]) -> dict[str, list[str]]:
    return {
        "module": [bar.module for bar in bars],
        "predicts": [bar.predicts for bar in bars],
        "weight": [weight_text(bar.weight) for bar in bars],
        "proxy": [number(bar.proxy_mae) for bar in bars],
        "proxy_std": [number(bar.proxy_mae_standardised) for bar in bars],
    }


def _bar_tooltips(data: payloads.ModuleBars) -> list[tuple[str, str]]:
    return [
        ("module", "@module"),
        ("predicts", "@predicts"),
        ("weight", "@weight"),
        ("proxy error", _literal("@proxy ", data.unit)),
        ("", "@proxy_std standard deviations"),
    ]


def _bars(data: payloads.ModuleBars, lengths: Sequence[float], colors: Sequence[str]) -> Any:
    hv = _holoviews()
    rows = range(len(data.bars))
    table = {
        "left": [0.0] * len(data.bars),
        "bottom": [-row - 0.36 for row in rows],
        "right": [length if math.isfinite(length) else 0.0 for length in lengths],
        "top": [-row + 0.36 for row in rows],
        "color": list(colors),
        **_bar_columns(data.bars),
    }
    return hv.Rectangles(table, ["left", "bottom", "right", "top"], ["color", *_BAR_COLUMNS])


def _bar_style(data: payloads.ModuleBars) -> dict[str, Any]:
    return {"color": "color", "line_color": None, "tools": [_hover(_bar_tooltips(data))], **_PLAIN_TOOLS}


def _value_labels(lengths: Sequence[float], texts: Sequence[str], mode: Mode) -> Any:
    table = {
        "x": [length if math.isfinite(length) else 0.0 for length in lengths],
        "y": [-float(row) for row in range(len(lengths))],
        "text": list(texts),
    }
    return (
        _holoviews()
        .Labels(table, ["x", "y"], "text")
        .opts(
            text_color=COLORS[mode].muted,
            text_font_size=TICK_SIZE,
            text_align="left",
            text_baseline="middle",
            backend="bokeh",
            hooks=[_shift_labels],
        )
    )


def _shift_labels(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    from bokeh.core.properties import value

    plot.handles["glyph"].update(x_offset=6, text_font=value(FONT))


def _row_ticks(data: payloads.ModuleBars) -> list[tuple[int, str]]:
    return [(-row, bar.label) for row, bar in enumerate(data.bars)]


def _panel(n_rows: int, note: str, mode: Mode, *, ygrid: bool = False) -> dict[str, Any]:
    grids = {} if ygrid else {"YGrid": {"grid_line_color": None}}
    bare = {"major_tick_line_color": None, "axis_line_color": None}
    return {
        "ylabel": "",
        "ylim": (-(n_rows - 1) - 0.6, 0.6),
        "height": max(3, n_rows) * ROW_HEIGHT + (76 if note else 60),
        "responsive": True,
        "show_grid": True,
        "show_legend": False,
        "toolbar": None,
        "hooks": [styled(mode, YAxis=bare, **grids)],
        **_PLAIN_TOOLS,
    }


def _with_note(label: str, n_hidden: int, note: str) -> str:
    """Put a note under an axis label; an empty second line keeps panels side by side in step."""
    return f"{label}\n{note or ' '}" if n_hidden else label


# ---------------------------------------------------------------------- parts of scatter plots


def _value_axis(which: str, data: payloads.Parity) -> str:
    return with_unit(f"{which} {shorten(data.property or 'value', 40)}", data.unit)


def _square_scatter(
    data: payloads.Parity,
    names: Sequence[str],
    *,
    limits: tuple[float, float] | None,
    first: int,
    mode: Mode,
    xlabel: str,
    ylabel: str,
) -> Any:
    hv = _holoviews()
    low, high = limits or data.limits
    colors = COLORS[mode]
    layers = [
        hv.Curve([(low, low), (high, high)], "true", "predicted").opts(
            color=colors.axis, line_dash="dashed", line_width=1, **_PLAIN_TOOLS
        )
    ]
    several = len(data.series) > 1
    for index, line in enumerate(data.series, first):
        size, alpha = _point_style(len(line.ids))
        color = series_color(index, mode)
        if line.std is not None:
            bars = hv.ErrorBars((line.true, line.predicted, line.std), "true", ["predicted", "std"])
            layers.append(
                bars.opts(
                    line_color=color,
                    line_alpha=alpha / 2,
                    line_width=1,
                    upper_head=None,
                    lower_head=None,
                    backend="bokeh",
                )
            )
        layers.append(
            hv.Scatter(
                _scatter_table(line),
                "true",
                list(_SCATTER_COLUMNS),
                label=names[index - first] if several else "",
            ).opts(
                color=color,
                line_color=colors.surface,
                line_width=0.5,
                marker=marker(index) if several else "circle",
                size=size,
                alpha=alpha,
                tools=[
                    _hover(_scatter_tooltips(data.unit, with_std=line.std is not None)),
                    "box_zoom",
                    "reset",
                    "save",
                ],
                **_PLAIN_TOOLS,
            )
        )
    spread = any(line.std is not None for line in data.series)
    return hv.Overlay(layers).opts(
        title="" if several else shorten(names[0], 70),
        xlabel=xlabel,
        ylabel=ylabel + ("; bars: ±1 standard deviation" if spread else ""),
        xlim=(low, high),
        ylim=(low, high),
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        show_grid=True,
        show_legend=several,
        legend_position="top_left",
        toolbar="above",
        hooks=[
            styled(
                mode,
                Plot={
                    "min_border_left": 72,
                    "min_border_right": 18,
                    "min_border_top": 36,
                    "min_border_bottom": 54,
                },
            )
        ],
        **_PLAIN_TOOLS,
    )


_SCATTER_COLUMNS = ("predicted", "id", "true_text", "predicted_text", "difference", "std_text")


def _scatter_table(line: payloads.ParitySeries) -> dict[str, list[Any]]:
    return {
        "true": line.true,
        "predicted": line.predicted,
        "id": line.ids,
        "true_text": [number(value, 4) for value in line.true],
        "predicted_text": [number(value, 4) for value in line.predicted],
        "difference": [number(p - t) for p, t in zip(line.predicted, line.true, strict=True)],
        "std_text": [number(value) for value in line.std or [math.nan] * len(line.true)],
    }


def _scatter_tooltips(unit: str, *, with_std: bool) -> list[tuple[str, str]]:
    tips = [
        ("id", "@id"),
        ("true", _literal("@true_text ", unit)),
        ("predicted", _literal("@predicted_text ", unit)),
        ("error", _literal("@difference ", unit)),
    ]
    if with_std:
        tips.append(("± std", _literal("@std_text ", unit)))
    return tips


def _point_style(n: int) -> tuple[float, float]:
    """Return size and opacity that keep ``n`` points apart."""
    if n <= 150:
        return 8, 0.85
    return (6, 0.6) if n <= 1000 else (4, 0.4)


# ---------------------------------------------------------------------- the others


def _confusion_panel(report: FitReport, mode: Mode) -> Any:
    hv = _holoviews()
    data = payloads.confusion_counts(report)
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
    tips = [
        ("true class", "@true"),
        ("predicted", "@predicted"),
        ("rows", "@rows"),
        ("share", "@share{0.0%}"),
    ]
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
                cmap=_blend(colors.heat),
                clim=(0, 1),
                line_color=colors.surface,
                line_width=2,
                tools=[_hover(tips)],
                **_PLAIN_TOOLS,
            ),
            *texts,
        ]
    ).opts(
        title=shorten(f"{data.label}: accuracy {100 * data.accuracy:.1f} %", 70),
        xlabel=f"Predicted class of {shorten(data.property, 40)}",
        ylabel="True class",
        responsive=True,
        aspect=1,
        max_width=SQUARE,
        toolbar=None,
        invert_yaxis=True,
        show_legend=False,
        hooks=[
            styled(
                mode,
                Plot={
                    "min_border_left": 72,
                    "min_border_right": 18,
                    "min_border_top": 36,
                    "min_border_bottom": 54,
                },
            )
        ],
        **_PLAIN_TOOLS,
    )


def _blend(ends: tuple[str, str], steps: int = 64) -> list[str]:
    """Return colours from one to the other in equal steps."""
    first, last = ([int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in ends)
    return [
        "#"
        + "".join(f"{round(a + (b - a) * step / (steps - 1)):02x}" for a, b in zip(first, last, strict=True))
        for step in range(steps)
    ]


def _log_ticks(data: payloads.Curves) -> list[tuple[float, str]]:
    """Return ticks at 1, 2 and 5 times the powers of ten; Bokeh labels few of them by itself."""
    values = payloads.finite(v for line in data.series for v in (*line.train, *line.validation))
    low, high = math.log10(min(values)), math.log10(max(values))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    powers = range(math.floor(low) - 1, math.ceil(high) + 2)
    return [(step * 10.0**power, number(step * 10.0**power, 1)) for power in powers for step in steps]


def _integer_x(plot: Any, element: Any) -> None:  # noqa: ARG001 - HoloViews calls hooks with both
    from bokeh.models import BasicTicker

    plot.state.xaxis[0].ticker = BasicTicker(min_interval=1, num_minor_ticks=0)


def _hover(tips: Sequence[tuple[str, str]]) -> Any:
    from bokeh.models import HoverTool

    return HoverTool(tooltips=list(tips))


def _literal(field: str, unit: str) -> str:
    """Append a unit to a tooltip so that none of its characters names a column."""
    return field + unit.replace("@", "\N{FULLWIDTH COMMERCIAL AT}").replace("$", "\N{FULLWIDTH DOLLAR SIGN}")


def _holoviews() -> Any:
    """Import HoloViews with its Bokeh side, which is slow, when the first figure is drawn."""
    import holoviews as hv
    import holoviews.plotting.bokeh

    return hv
