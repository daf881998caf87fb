"""The packages that draw widgets, imported in one place; without them a sentence says what to install."""

from __future__ import annotations

from moma_app.errors import MissingDependencyError

try:
    import ipywidgets  # type: ignore[import-untyped]
    from jupyter_bokeh import BokehModel  # type: ignore[import-untyped]
except ModuleNotFoundError as exc:
    raise MissingDependencyError("The widgets need ipywidgets: pip install 'moma-app[lab]'.") from exc

__all__ = ["BokehModel", "ipywidgets"]
