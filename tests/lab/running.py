"""Run a notebook as a user does, and look at what it shows."""

from __future__ import annotations

import json
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
FIGURE = "application/vnd.holoviews_exec.v0+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL = 900
"""Seconds that one cell may take on a machine that has other work to do."""


@dataclass(frozen=True)
class Executed:
    """A notebook that has run.

    Attributes:
        content: the notebook with its outputs.
        seconds: of processor time, all processes of the kernel together.
    """

    content: Any
    seconds: float

    def outputs(self) -> list[dict[str, Any]]:
        """All outputs in their order."""
        return [out for cell in self.content.cells if cell.cell_type == "code" for out in cell.outputs]

    def shown(self, mime: str) -> list[dict[str, Any]]:
        """Return the outputs that have this form."""
        return [out["data"] for out in self.outputs() if mime in out.get("data", {})]

    def text(self, kind: str) -> str:
        """Return what was written to ``stdout`` or ``stderr``."""
        return "".join(
            out["text"] for out in self.outputs() if out["output_type"] == "stream" and out["name"] == kind
        )

    def figures(self) -> list[str]:
        """Return the Bokeh documents that cells draw, as JSON; what Panel itself puts into the page has no text."""
        return [
            html
            for data in self.shown(FIGURE)
            if "text/plain" in data and "docs_json" in (html := data.get("text/html", ""))
        ]

    def widgets(self) -> list[str]:
        """Return the still pictures of the widgets, as HTML."""
        return [data["text/html"] for data in self.shown(WIDGET)]


def execute(path: Path, folder: Path) -> Executed:
    """Run a notebook from top to bottom in a folder; raises what its first failing cell raised."""
    import nbformat
    from nbclient import NotebookClient

    content = nbformat.read(path, as_version=4)
    before = _children()
    client = NotebookClient(
        content, timeout=CELL, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return Executed(content, _children() - before)


def drawn(document: str) -> int:
    """Return how many marks (glyphs) with data a Bokeh document draws."""
    found = re.search(r"docs_json = (\{.*?\});\n", document)
    assert found, document[:500]
    return sum(_glyphs(each["roots"]) for each in json.loads(found.group(1)).values())


def _glyphs(value: Any) -> int:
    if isinstance(value, dict):
        own = value.get("name") == "GlyphRenderer"
        return own + sum(_glyphs(each) for each in value.values())
    return sum(_glyphs(each) for each in value) if isinstance(value, list) else 0


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
