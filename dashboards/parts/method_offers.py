"""Methods of experiments as lists offer them."""

from __future__ import annotations

from collections.abc import Collection

from moma_app.experiments.methods import METHODS


def method_offers(besides: Collection[str] = ()) -> dict[str, str]:
    """Return all methods by what a list shows, but for some."""
    return {
        f"{method.label}: {method.summary}": name for name, method in METHODS.items() if name not in besides
    }
