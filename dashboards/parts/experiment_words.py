"""Numbers of experiments as tables show them: mean ± standard deviation, differences in %."""

from __future__ import annotations

from moma_app.errors import UnknownNameError
from moma_app.experiments.methods import get_method
from moma_app.plots.text import number, signed_percent


def method_label(name: str) -> str:
    """Return a method as people say it; its name, if it is gone."""
    try:
        return get_method(name).label
    except UnknownNameError:
        return name


def mean_text(mean: float | None, std: float | None) -> str:
    """Write a mean with its standard deviation: 0.0251 ± 0.0004."""
    if mean is None:
        return "–"
    return number(mean) if std is None else f"{number(mean)} ± {number(std, 2)}"


def percent_text(mean: float | None, std: float | None = None) -> str:
    """Write a relative difference with its standard deviation: +3.1 ± 0.4 %."""
    if mean is None:
        return "–"
    said = signed_percent(mean)
    return said if std is None else f"{said.removesuffix(' %')} ± {std:.1f} %"
