"""Finished fits of the tracking store on the same test rows, and how they compare with one of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dashboards.parts.recipe_fields import SEED, settings, values_of
from dashboards.services import get_jobs
from moma_app.errors import DataNotFoundError, InputError
from moma_app.jobs.states import SHORT
from moma_app.training.recipe import Recipe

if TYPE_CHECKING:
    from moma_app.jobs.record import Record
    from moma_app.training.outcome import FitReport

UNITS = {"finetune": "", "compose": "", "cell": "of."}
"""Units whose result has a tested fit, and where the parameters that say on which rows begin."""
MOST = 200
"""Newest runs of a task that are looked through."""
MOST_BARS = 12
MOST_SETTINGS = 3


@dataclass(frozen=True)
class FinishedFit:
    """A finished run with its fit.

    Attributes:
        run_id: of the run.
        method: rule for the weights, if it is not AMC's.
        fit: what was tested.
    """

    run_id: str
    method: str
    fit: FitReport

    @property
    def label(self) -> str:
        """What it started from, in words."""
        return f"{self.fit.label}, {self.method}" if self.method else self.fit.label


def finished_fits(shown: Record, fit: FitReport) -> list[FinishedFit]:
    """Return a run's fit and all others of the task on the same rows, newest first; equal work once.

    Args:
        shown: the run; others on data of other content are left out.
        fit: what it gave.
    """
    rows = (str(fit.split), None if fit.shots is None else str(fit.shots))
    data_hash = shown.facts.get("data_hash")
    found = {shown.digest: FinishedFit(shown.id, "", fit)}
    for record in get_jobs().store.runs(states=["finished"], task=fit.task, limit=MOST):
        if record.unit not in UNITS or record.digest in found:
            continue
        if record.facts.get("data_hash") != data_hash or rows_of(record) != rows:
            continue
        other = fit_of(record.id)
        if other is not None:
            method = record.facts.get("method", "") if other.start == "composed" else ""
            found[record.digest] = FinishedFit(record.id, "" if method == "amc" else method, other)
    return list(found.values())


def rows_of(record: Record) -> tuple[str | None, str | None]:
    """Return split and shots of a run, as its parameters have them."""
    parameters = _parameters(record.id)
    start = UNITS[record.unit]
    return parameters.get(f"{start}split"), parameters.get(f"{start}shots")


@lru_cache(maxsize=1000)
def _parameters(run_id: str) -> Mapping[str, str]:
    """Return the arguments of a run, which never change."""
    return get_jobs().store.get(run_id).parameters


@lru_cache(maxsize=100)
def fit_of(run_id: str) -> FitReport | None:
    """Return the tested fit of a finished run; ``None`` if it has none, or its result is gone."""
    from moma_app.training.outcome import FitReport

    try:
        fit = get_jobs().result(run_id).get("fit")
    except DataNotFoundError:
        return None
    return None if fit is None else FitReport.from_dict(fit)


def comparison_rows(fits: Sequence[FinishedFit], run_id: str) -> list[dict[str, Any]]:
    """Return a table of fits, best first, each compared with the one that is shown.

    Args:
        fits: on the same test rows.
        run_id: of the fit that is shown.

    Returns:
        Rows with ``start``, ``settings`` (those that differ from the shown fit's), ``seed``, ``error`` (test
        MAE, or share of wrong classes), ``of_mad``, ``difference`` in words, ``seconds``, and ``run``, the
        first digits of its id.
    """
    from moma_app.plots.payloads import is_classification

    shown = next((fit for fit in fits if fit.run_id == run_id), None)
    rows = []
    for tested in fits:
        fit, metrics = tested.fit, tested.fit.metrics
        mad = metrics.get("mad")
        rows.append(
            {
                "start": tested.label,
                "settings": "" if shown is None else other_settings(fit, shown.fit),
                "seed": fit.seed,
                "error": 1 - metrics["accuracy"] if is_classification(fit) else metrics.get("mae"),
                "of_mad": metrics["mae"] / mad if mad else None,
                "difference": "" if shown is None else difference(tested, shown),
                "seconds": fit.seconds,
                "run": tested.run_id[:SHORT],
            }
        )
    return sorted(rows, key=lambda row: math.inf if row["error"] is None else row["error"])


def groups_of(
    rows: Sequence[Mapping[str, Any]], run_id: str, most: int = MOST_BARS
) -> dict[str, list[float]]:
    """Return the errors of equal starts and settings together, by their name.

    Args:
        rows: of :func:`comparison_rows`.
        run_id: of the fit that is shown; its group comes first, then the others, best first.
        most: groups at most.
    """
    groups: dict[str, list[float]] = {}
    first = ""
    for row in rows:
        name = row["start"] + (f", {row['settings']}" if row["settings"] else "")
        if row["error"] is not None:
            groups.setdefault(name, []).append(row["error"])
        if row["run"] == run_id[:SHORT]:
            first = name
    ordered = sorted(groups, key=lambda name: (name != first, sum(groups[name]) / len(groups[name])))
    return {name: groups[name] for name in ordered[:most]}


def other_settings(fit: FitReport, shown: FitReport) -> str:
    """Return the recipe's settings in which a fit differs from the one that is shown; seeds do not count."""
    try:
        recipe, base = Recipe.from_dict(fit.config), Recipe.from_dict(shown.config)
    except InputError:
        return ""  # an instant predictor has no recipe, and one of another version cannot be compared
    before, after = values_of(base), values_of(recipe)
    changed = [path for path in after if after[path] != before[path] and path != SEED]
    told = [f"{settings()[path].name} {settings()[path].show(after[path]) or 'any'}" for path in changed]
    return ", ".join(told[:MOST_SETTINGS]) + (", …" if len(told) > MOST_SETTINGS else "")


def difference(tested: FinishedFit, shown: FinishedFit) -> str:
    """Say how a fit's error differs from that of the one that is shown, and whether that can be told."""
    from moma_app.plots.comparison import compare
    from moma_app.plots.payloads import is_classification
    from moma_app.plots.text import signed_percent

    if tested is shown:
        return "this run"
    if is_classification(tested.fit) != is_classification(shown.fit):
        return "–"
    found = compare(tested.fit, shown.fit)
    if found.percent is None:
        return "–"
    return signed_percent(found.percent) + (", within noise" if found.within_noise else "")
