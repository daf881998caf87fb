"""A 3D view of crystal structures as a Panel component, which needs nothing but its server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from moma_app.plots.crystals.frame import LIBRARY
from moma_app.plots.crystals.payload import StructurePayload, payload_of

__all__ = ["LIBRARY", "LIBRARY_SHA256", "StructurePayload", "StructureView", "payload_of"]

_HERE = Path(__file__).parent
LIBRARY_SHA256 = "95513f6494717cc82fb2ba4d264f29b7ef189a31d4ece36a38d1f9666bf6d427"


class StructureView(JSComponent):  # type: ignore[misc]
    """Structures as balls and sticks in their cell, one at a time: turn, zoom, reset, by mouse or keys.

    The library that draws comes from this server, when the first structure is in view; its address names its
    content, so that a browser asks once. A structure's place is kept free while there is none.

    Args:
        structures: what to show, see :func:`payload_of`; more than one get a row of buttons.
        params: ``height`` of all in pixels (320), and what any Panel component takes.
    """

    structures = param.List(default=[], item_type=dict, doc="Payloads of the structures.")
    active = param.Integer(default=0, doc="Which of them is shown; follows the user's choice.")
    empty = param.String(default="No structure to show.", doc="What stands in its place where there is none.")

    _bundle = "structure_view.js"
    _resources: ClassVar[dict[str, list[str]]] = {"library": [LIBRARY]}
    _constants: ClassVar[dict[str, Any]] = {
        "library": f"../_resources/library/{LIBRARY}?v={LIBRARY_SHA256[:16]}"
    }
    _stylesheets: ClassVar[list[str]] = [(_HERE / "structure_style.css").read_text(encoding="utf-8")]

    def __init__(self, structures: Sequence[StructurePayload] = (), **params: Any) -> None:
        look = {"height": 320, "sizing_mode": "stretch_width", **params}
        super().__init__(structures=list(structures), **look)
