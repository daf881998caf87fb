"""The 3D view of structures in a notebook: a frame with all that it needs inside, nothing is fetched."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moma_app.markup import Markup, element
from moma_app.plots.theme import COLORS

if TYPE_CHECKING:
    from moma_app.plots.crystals.payload import StructurePayload

HERE = Path(__file__).parent
LIBRARY = "static/3Dmol.es6-min.js"
"""3Dmol.js as it was published, see ``static/README.md``."""
HEIGHT = 340
EMPTY = "No structure to show."


def structure_frame(
    structures: Sequence[StructurePayload],
    *,
    height: int = HEIGHT,
    key: str = "",
    empty: str = EMPTY,
    mode: Literal["auto", "light", "dark"] = "auto",
) -> Markup:
    """Return a frame in which structures are drawn, turned and zoomed; some 250 kB, whatever it shows.

    Args:
        structures: what to show; more than one get a row of buttons.
        height: in pixels.
        key: name under which :func:`sent_structures` gives the frame others.
        empty: what stands in the place of no structure.
        mode: ``auto`` follows the theme of JupyterLab or VS Code.
    """
    data = {"structures": list(structures), "key": key, "empty": empty, "mode": mode}
    return _frame(
        _page(data), f"width:100%;height:{height}px;border:0;display:block", title="Crystal structure"
    )


def sent_structures(key: str, structures: Sequence[StructurePayload]) -> Markup:
    """Return a hidden frame that gives the frames of a key other structures as soon as it is in the same page."""
    data = json.dumps({"key": key, "structures": list(structures)}).replace("<", "\\u003c")
    script = (
        f"const sent = {data};"
        "const place = ((parent.momaFrames ??= {})[sent.key] ??= {views: new Set()});"
        "place.structures = sent.structures;"
        "for (const show of place.views) show(sent.structures);"
    )
    return _frame(element("script", Markup(script)), "display:none", title="Data of the structure view")


def _frame(page: Markup, style: str, *, title: str) -> Markup:
    # As an attribute the page is text, which ``element`` escapes.
    return element("iframe", srcdoc=page, style=style, title=title)


def _page(data: dict[str, Any]) -> Markup:
    content = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(
        "<!DOCTYPE html><html><head><meta charset='utf-8'>"
        + element("style", Markup(_style()))
        + "</head><body>"
        + element("script", Markup(content), type="application/json", id="data")
        + element("script", Markup(_packed_library()), type="text/plain", id="library")
        + element("script", Markup(_script()), type="module")
        + "</body></html>"
    )


@cache
def _packed_library() -> str:
    return base64.b64encode(gzip.compress((HERE / LIBRARY).read_bytes(), 9, mtime=0)).decode()


@cache
def _script() -> str:
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("structure_view.js", "frame.js"))


@cache
def _style() -> str:
    modes = "\n".join(
        f':root[data-mode="{mode}"] {{ --panel-surface-color: {colors.surface}; --panel-on-surface-color: {colors.ink}; '
        f"color-scheme: {mode}; background: {colors.surface}; }}"
        for mode, colors in COLORS.items()
    )
    look = (HERE / "structure_style.css").read_text(encoding="utf-8")
    page = "html, body { height: 100%; margin: 0; overflow: hidden; font-family: system-ui, sans-serif; }"
    return f"{modes}\n{page}\n{look}"
