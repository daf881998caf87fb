"""Widgets for notebooks (JupyterLab, VS Code): what the dashboard shows, one thing at a time, beside one's own code.

Each takes plain result objects and gives plain result objects back. Shown where nothing runs (nbviewer,
a notebook made into HTML), each is a picture and a table of what it showed. Names are imported when they are
first used; they need ipywidgets and jupyter_bokeh, the extra ``lab``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moma_app.widgets.composer import Composer
    from moma_app.widgets.hub_explorer import HubExplorer
    from moma_app.widgets.structure_table import StructureTable
    from moma_app.widgets.training_monitor import TrainingMonitor
    from moma_app.widgets.weight_map import WeightMap

_HOMES = {
    "Composer": "composer",
    "HubExplorer": "hub_explorer",
    "StructureTable": "structure_table",
    "TrainingMonitor": "training_monitor",
    "WeightMap": "weight_map",
}

__all__ = ["Composer", "HubExplorer", "StructureTable", "TrainingMonitor", "WeightMap"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
