"""The one number of a run that is worth a column in a list."""

from __future__ import annotations

from collections.abc import Mapping

MAIN = ("test_mae", "test_accuracy", "val_error", "objective")
"""Metrics by which runs are told apart, the most telling first."""


def main_metric(metrics: Mapping[str, float]) -> tuple[str, float] | None:
    """Return the most telling metric of a run and its value; ``None`` if it has none of them."""
    name = next((name for name in MAIN if name in metrics), None)
    return None if name is None else (name, metrics[name])
