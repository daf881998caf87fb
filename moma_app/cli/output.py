"""How the command line talks: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from moma_app.progress import (
    EpochEnded,
    Event,
    FitEnded,
    Listener,
    ModuleEncoded,
    Note,
    RunChanged,
    Step,
    Warned,
)

WIDE = 200
"""Columns where there is no terminal to fit into: a pipe, a log."""

out = Console()
if not out.is_terminal:
    out.width = WIDE
err = Console(stderr=True)


def print_json(data: Any) -> None:
    """Write data as JSON to standard output."""
    sys.stdout.write(json_text(data))


def json_text(data: Any) -> str:
    """Return data as JSON, a list one item a line; numbers that JSON lacks become null."""
    if isinstance(data, list):
        rows = ",\n".join(_json(row) for row in data)
        return f"[\n{rows}\n]\n" if rows else "[]\n"
    return _json(data, indent=1) + "\n"


def _json(data: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(data), indent=indent, ensure_ascii=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def table(title: str | None, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; a column is its heading and ``left`` or ``right``."""
    if title:
        say(title)
    grid = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, (heading, side) in enumerate(columns):
        last = position == len(columns) - 1
        grid.add_column(
            heading,
            justify="right" if side == "right" else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    for row in rows:
        grid.add_row(*(escape(str(value)) for value in row))
    out.print(grid)


def say(message: str) -> None:
    """Print one line of text, as it is."""
    out.print(escape(message), highlight=False, soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning to standard error."""
    err.print(f"[yellow]Warning:[/] {escape(message)}", highlight=False)


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}"


def quantity(value: float | None, unit: str, digits: int = 4) -> str:
    """Write a number with its unit, if it has one."""
    return f"{number(value, digits)} {unit}".rstrip()


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Listener]:
    """Yield a listener that draws bars on a terminal, and writes plain lines elsewhere."""
    if quiet:
        yield _only_warnings
    elif not err.is_terminal:
        yield _plain_lines
    else:
        bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        with bars:
            yield _Bars(bars)


WAITING = "waiting for a worker"


class _Bars:
    """One bar for each kind of work, made when its first event comes."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.open: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Step(what=what, done=done, total=total):
                self._show(what, event.fraction, f"{done:,}/{total:,}")
            case ModuleEncoded(module=module, proxy_mae=error):
                self._show("modules encoded", event.fraction, f"{module}: proxy MAE {error:.4g}")
            case EpochEnded(epoch=epoch, epochs=epochs, val_error=error, structures_per_second=rate):
                self._show(
                    "training",
                    event.fraction,
                    f"epoch {epoch}/{epochs}  val {error:.4g}  {rate:.0f} structures/s",
                )
            case FitEnded():
                self._close("training")
            case RunChanged(state="queued", run=run) if run:
                self.bars.console.print(event.describe(), highlight=False)
            case RunChanged(state="queued", message=message):
                self._show(WAITING, None, message)
            case RunChanged():
                self._close(WAITING)
            case Note(message=message):
                self.bars.console.print(escape(message), highlight=False)
            case Warned(message=message):
                warn(message)

    def _show(self, what: str, fraction: float | None, detail: str) -> None:
        if what not in self.open:
            self.open[what] = self.bars.add_task(what, total=None if fraction is None else 1.0, detail="")
        self.bars.update(self.open[what], completed=fraction or 0.0, detail=escape(detail))
        if fraction is not None and fraction >= 1:
            self._close(what)

    def _close(self, what: str) -> None:
        if what in self.open:
            self.bars.remove_task(self.open.pop(what))


def _only_warnings(event: Event) -> None:
    if isinstance(event, Warned):
        warn(event.message)


def _plain_lines(event: Event) -> None:
    match event:
        case Warned(message=message):
            warn(message)
        case Step() | RunChanged(state="running" | "finished" | "failed" | "cancelled" | "interrupted"):
            return  # too many, or said otherwise
        case _:
            err.print(escape(event.describe()), highlight=False, soft_wrap=True)
