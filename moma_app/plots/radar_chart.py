"""Methods compared over tasks: the paper's Figure 4."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from moma_app.plots.drawing import PLAIN_TOOLS, holoviews, hover, in_our_font, literal_title
from moma_app.plots.radar_values import MethodErrors, Radar, RadarLine, radar_values
from moma_app.plots.text import count, number, plain, shorten, signed_percent, with_unit_after
from moma_app.plots.theme import COLORS, TICK_SIZE, Mode, marker, series_color, styled

_COLUMNS = ["method", "task", "error", "against"]
_WIDE, _TOP, _BOTTOM = 1.65, 1.42, 1.22
"""Half the width and the height of the frame in radii of the chart: room for names and legend."""
_ROW = 20
"""Pixels for one method of a task where there are too few tasks for a radar."""
_AXIS = 66
"""Pixels below these rows for the axis."""


def radar(
    methods: Sequence[MethodErrors],
    *,
    units: Mapping[str, str] | None = None,
    reference: str | None = None,
    mode: Mode = "light",
) -> Any:
    """Draw each method as a polygon over the tasks; further out is a larger error.

    Errors are divided by those of the reference method, whose polygon is regular, because the tasks
    have different units; the hover box has the errors themselves. With one or two tasks, which
    make no polygon, the same is drawn as rows of points.

    Args:
        methods: test errors by method and task.
        units: of the errors by task.
        reference: name of the method whose errors are 1; the first if ``None``.
        mode: light or dark.
    """
    data = radar_values(methods, reference)
    if len(data.tasks) < 3:
        return _rows(data, units or {}, mode)
    hv = holoviews()
    layers = _web(data, mode)
    for index, line in enumerate(data.lines):
        layers += _polygon(data, line, index, units or {}, mode)
    layers += [_ring_numbers(data, mode), *_names(data, mode)]
    return hv.Overlay(layers).opts(
        title=literal_title(_title(data), 140),
        xaxis=None,
        yaxis=None,
        xlim=(-_WIDE, _WIDE),
        ylim=(-_BOTTOM, _TOP),
        responsive=True,
        aspect=2 * _WIDE / (_BOTTOM + _TOP),
        max_width=820,
        min_width=420,
        show_legend=True,
        legend_position="top_left",
        legend_cols=3,
        legend_limit=len(layers) + 1,
        toolbar=None,
        hooks=[
            styled(
                mode,
                Title={"text_font_style": "normal", "text_color": COLORS[mode].muted},
                Legend={"margin": 0, "padding": 2},
                Grid={"grid_line_color": None},
            )
        ],
        **PLAIN_TOOLS,
    )


def _title(data: Radar) -> str:
    said = (
        f"Test MAE divided by that of {data.reference}; further out is worse, the centre is {data.rings[0]:g}"
    )
    if data.left_out:
        said += f" ({count(len(data.left_out), 'task')} without it left out)"
    return said


def _at(data: Radar, axis: float, radius: float) -> tuple[float, float]:
    """Return the point of an axis at a radius: the first axis is at the top, the others follow clockwise."""
    angle = 2 * math.pi * axis / len(data.tasks)
    return radius * math.sin(angle), radius * math.cos(angle)


def _web(data: Radar, mode: Mode) -> list[Any]:
    """Draw rings and axes."""
    hv = holoviews()
    n = len(data.tasks)
    loops = [[_at(data, axis % n, data.radius(ring)) for axis in range(n + 1)] for ring in data.rings[1:]]
    spokes = [(0.0, 0.0, *_at(data, axis, 1.0)) for axis in range(n)]
    look = {"color": COLORS[mode].axis, "alpha": 0.45, "line_width": 1, **PLAIN_TOOLS}
    return [hv.Path(loops).opts(**look), hv.Segments(spokes).opts(**look)]


def _ring_numbers(data: Radar, mode: Mode) -> Any:
    """Write the rings' ratios between the first axis and the last."""
    flat = math.cos(math.pi / len(data.tasks))  # a side of the ring is nearer to the centre than its corners
    numbers = [(*_at(data, -0.5, data.radius(ring) * flat), f"{ring:g}") for ring in data.rings[1:]]
    return (
        holoviews()
        .Labels(numbers, ["x", "y"], "text")
        .opts(text_color=COLORS[mode].muted, text_font_size="11px", hooks=[in_our_font], backend="bokeh")
    )


def _names(data: Radar, mode: Mode) -> list[Any]:
    """Write the tasks around the rim, each on its own side of the axis."""
    by_side: dict[str, list[tuple[float, float, str]]] = {}
    for axis, task in enumerate(data.tasks):
        x, y = _at(data, axis, 1.07)
        side = "center" if abs(x) < 0.1 else "left" if x > 0 else "right"
        by_side.setdefault(side, []).append((x, y, in_two_lines(shorten(plain(task), 32))))
    return [
        holoviews()
        .Labels(labels, ["x", "y"], "text")
        .opts(
            text_color=COLORS[mode].ink,
            text_font_size=TICK_SIZE,
            text_align=side,
            hooks=[in_our_font],
            backend="bokeh",
        )
        for side, labels in by_side.items()
    ]


def in_two_lines(name: str) -> str:
    """Break a long name at the underscore or space nearest to its middle."""
    breaks = [i for i, c in enumerate(name) if c in "_ " and 0 < i < len(name) - 1]
    if len(name) <= 14 or not breaks:
        return name
    at = min(breaks, key=lambda i: abs(2 * i - len(name)))
    return f"{name[: at + 1].rstrip()}\n{name[at + 1 :]}"


def _polygon(data: Radar, line: RadarLine, index: int, units: Mapping[str, str], mode: Mode) -> list[Any]:
    hv = holoviews()
    color = series_color(index, mode)
    n = len(data.tasks)
    points = [
        None if ratio is None else _at(data, axis, data.radius(ratio))
        for axis, ratio in enumerate(line.ratios)
    ]
    sides = [
        (*start, *end) for axis in range(n) if (start := points[axis]) and (end := points[(axis + 1) % n])
    ]
    drawn = [axis for axis in range(n) if points[axis]]
    table = {
        "x": [point[0] for point in points if point],
        "y": [point[1] for point in points if point],
        **_texts(data, line, drawn, units),
    }
    return [
        hv.Segments(sides).opts(color=color, line_width=2, **PLAIN_TOOLS),
        hv.Points(table, ["x", "y"], _COLUMNS, label=line.method or "–").opts(
            color=color, marker=marker(index), size=8, tools=[_box()], **PLAIN_TOOLS
        ),
    ]


def _texts(
    data: Radar, line: RadarLine, drawn: Sequence[int], units: Mapping[str, str]
) -> dict[str, list[str]]:
    tasks = [data.tasks[axis] for axis in drawn]
    ratios = [ratio for ratio in (line.ratios[axis] for axis in drawn) if ratio is not None]
    return {
        "method": [line.method] * len(tasks),
        "task": [plain(task) for task in tasks],
        "error": [_error_text(line.source, task, plain(units.get(task, ""))) for task in tasks],
        "against": [
            "reference" if line.method == data.reference else signed_percent(100 * (ratio - 1))
            for ratio in ratios
        ],
    }


def _error_text(source: MethodErrors, task: str, unit: str) -> str:
    spread = source.spreads.get(task)
    if spread is None:
        return with_unit_after(source.errors[task], unit)
    return f"{number(source.errors[task])} ± {number(spread, 2)} {unit}".rstrip()


def _box() -> Any:
    return hover(
        ("method", "method"), ("task", "task"), ("test MAE", "error"), ("against reference", "against")
    )


def _rows(data: Radar, units: Mapping[str, str], mode: Mode) -> Any:
    """Draw one or two tasks as rows of points, a line for each method."""
    hv = holoviews()
    n_methods = len(data.lines)
    layers: list[Any] = [hv.VLine(1.0).opts(color=COLORS[mode].axis, line_width=1, line_dash="dashed")]
    for index, line in enumerate(data.lines):
        drawn = [axis for axis, ratio in enumerate(line.ratios) if ratio is not None]
        table = {
            "ratio": [line.ratios[axis] for axis in drawn],
            "row": [-axis + 0.7 * (0.5 - (index + 0.5) / n_methods) for axis in drawn],
            **_texts(data, line, drawn, units),
        }
        layers.append(
            hv.Points(table, ["ratio", "row"], _COLUMNS, label=line.method or "–").opts(
                color=series_color(index, mode),
                marker=marker(index),
                size=10,
                tools=[_box()],
                **PLAIN_TOOLS,
            )
        )
    margin = 0.08 * (data.rings[-1] - data.rings[0])
    return hv.Overlay(layers).opts(
        xlabel=f"Test MAE divided by that of {shorten(data.reference, 40)}",
        ylabel="",
        xlim=(data.rings[0] - margin, data.rings[-1] + margin),
        ylim=(-len(data.tasks) + 0.5, 0.5),
        yticks=[(-axis, shorten(plain(task), 32)) for axis, task in enumerate(data.tasks)],
        responsive=True,
        height=max(80, _ROW * (n_methods + 1)) * len(data.tasks) + _AXIS,
        min_width=420,
        max_width=820,
        show_grid=True,
        show_legend=True,
        legend_position="right",
        toolbar=None,
        hooks=[styled(mode, YAxis={"major_tick_line_color": None, "axis_line_color": None})],
        **PLAIN_TOOLS,
    )
