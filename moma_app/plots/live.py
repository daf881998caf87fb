"""Figures of running work: their data changes, the figure stays, so that nothing flickers or jumps.

The axes are labelled and the place is kept before the first number comes. On a page with a Panel server
``send`` has to be called where the page may be changed (in a callback of the session, or one scheduled with
``pn.state.execute``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from moma_app.plots.bar_values import LABEL_LENGTH, TOP, ModuleBars, growing_values
from moma_app.plots.bars import growing_errors, growing_weights, side_by_side
from moma_app.plots.drawing import holoviews
from moma_app.plots.epochs import Epochs, error_panel, rate_panel
from moma_app.plots.theme import Mode
from moma_app.progress import EpochEnded

Data = TypeVar("Data")
_LETTER = 7
"""Pixels of a letter, with some to spare."""


@dataclass(frozen=True)
class Live(Generic[Data]):
    """A figure and the way to give it other data.

    Attributes:
        figure: HoloViews object, to be shown like any other.
        send: takes the data as they are now, all of them.
    """

    figure: Any
    send: Callable[[Data], None]


def live_curves(
    *, epochs: int, unit: str, classes: bool = False, mode: Mode = "light"
) -> Live[Sequence[EpochEnded]]:
    """Return the learning curve of a running fit, with its learning rate below; send it all events so far.

    Args:
        epochs: that the fit will have at most; the axis shows them from the start.
        unit: of the errors.
        classes: the errors are log losses, which have no unit.
        mode: light or dark.
    """
    hv = holoviews()
    pipe = hv.streams.Pipe(data=())
    panels = [
        hv.DynamicMap(
            lambda data, panel=panel: panel(Epochs(data, epochs, unit, classes), mode), streams=[pipe]
        )
        for panel in (error_panel, rate_panel)
    ]
    figure = hv.Layout(panels).cols(1).opts(toolbar=None, shared_axes=False, merge_tools=False)
    return Live(figure, pipe.send)


@dataclass(frozen=True)
class Encoded:
    """What is known of the modules of a running composition.

    Attributes:
        errors: proxy MAE of the modules encoded so far, in the task's unit.
        weights: of the modules, once they are solved for.
    """

    errors: Mapping[str, float]
    weights: Mapping[str, float] | None = None


def live_bars(
    modules: Sequence[str],
    *,
    unit: str,
    predicts: Mapping[str, str] | None = None,
    top: int = TOP,
    mode: Mode = "light",
) -> Live[Encoded]:
    """Return the growing bar chart of a running composition; see :func:`moma_app.plots.bars.growing_bars`.

    Args:
        modules: names of all modules that will be encoded; they keep their places free.
        unit: of the errors.
        predicts: property and unit by module, for the hover box.
        top: modules shown at most.
        mode: light or dark.
    """
    hv = holoviews()
    pipe = hv.streams.Pipe(data=Encoded({}))
    rows = min(len(modules), top)
    left = _LETTER * max((min(len(name), LABEL_LENGTH) for name in modules), default=0)

    def bars(data: Encoded) -> ModuleBars:
        return growing_values(
            data.errors, total=len(modules), unit=unit, weights=data.weights, predicts=predicts, top=top
        )

    figure = side_by_side(
        hv.DynamicMap(lambda data: growing_errors(bars(data), rows, mode, left=left), streams=[pipe]),
        hv.DynamicMap(lambda data: growing_weights(bars(data), rows, mode), streams=[pipe]),
    )
    return Live(figure, pipe.send)
