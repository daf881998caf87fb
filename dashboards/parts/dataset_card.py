"""A dataset at a glance: what it is, how its targets are spread, a few of its structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import columns, literal
from dashboards.session import Session
from moma_app.errors import MomaError
from moma_app.plots.crystals.payload import StructurePayload, payload_of
from moma_app.plots.crystals.view import StructureView

if TYPE_CHECKING:
    from moma_app.tasks.overview import TaskOverview

HEIGHT = 260


@dataclass(frozen=True)
class Glance:
    """What the card shows of a dataset: its overview, example structures, and the unit-free facts as HTML."""

    overview: TaskOverview
    examples: list[StructurePayload]
    facts: str


class DatasetCard(Viewer):
    """Facts, histogram and example structures of the chosen dataset."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._asked = ("", 0)
        self._facts = pn.pane.HTML(
            "", sizing_mode="stretch_width", min_height=64, margin=(0, 10), stylesheets=[_STYLE]
        )
        self._figure = Figure(session, height=HEIGHT, waiting="Choose a dataset.")
        self._structures = StructureView(height=HEIGHT + 20)
        self._view = pn.Column(
            self._facts,
            columns(self._figure, self._structures, widths=[7, 5]),
            sizing_mode="stretch_width",
            margin=0,
        )

    def show(self, name: str, split: int) -> None:
        """Show a dataset by its task's name and the seed of its split."""
        if name and name != self._asked[0]:
            self._figure.clear("Reading the dataset …")
            self._structures.empty = "Structures follow."
        asked = self._asked = (name, split)
        if name:
            self._session.background(
                lambda: glance(name, split), lambda found: self._draw(asked, found), self._absent
            )

    def _draw(self, asked: tuple[str, int], found: Glance) -> None:
        if asked != self._asked:
            return  # another one was chosen in the meantime
        from moma_app.plots import target_histogram

        spec, targets = found.overview.spec, found.overview.targets.tolist()
        classes = (spec.classes or ()) if spec.kind == "classification" else None
        self._facts.object = found.facts
        self._figure.show(
            lambda mode: target_histogram(targets, spec.property, spec.unit, classes=classes, mode=mode)
        )
        self._structures.active = 0
        self._structures.structures = list(found.examples)

    def _absent(self, text: str) -> None:
        self._facts.object = f"<p>{literal(text)}</p>"
        self._figure.clear("This dataset is not on this machine yet.")
        self._structures.empty = "No structure to show."
        self._structures.structures = []

    def __panel__(self) -> Viewable:
        return self._view


def glance(name: str, split: int) -> Glance:
    """Read what the card shows of a task; a structure that cannot be drawn is left out."""
    from moma_app.tasks.overview import get_overview

    overview = get_overview(name, split)
    drawn = []
    for example in overview.examples:
        note = f"{example.what}: {example.target:.4g} {overview.spec.unit}".rstrip()
        try:
            drawn.append(payload_of(overview.structures[example.position], label=example.id, note=note))
        except MomaError:
            continue
    return Glance(overview, drawn, _facts(overview))


def _facts(overview: TaskOverview) -> str:
    spec, sizes, parts = overview.spec, overview.n_atoms, overview.parts
    facts = [
        (f"{len(overview.targets):,}", "structures"),
        (
            f"{parts['train']:,} / {parts['val']:,} / {parts['test']:,}",
            f"train / validation / test ({overview.split} split)",
        ),
        (f"{len(overview.elements)}", "elements"),
        (f"{sizes.mean():.0f}", f"atoms per cell on average, at most {sizes.max()}"),
    ]
    if "mad" in overview.target:
        facts.append((f"{overview.target['mad']:.4g} {spec.unit}".rstrip(), "mean absolute deviation"))
    cells = "".join(f"<span><b>{literal(value)}</b> {literal(name)}</span>" for value, name in facts)
    unit = f", {literal(spec.unit)}" if spec.unit else ""
    cite = f"<p class='small'>{literal(spec.citation)}</p>" if spec.citation else ""
    return f"<p><b>{literal(spec.property)}</b>{unit}</p><p class='facts'>{cells}</p>{cite}"


_STYLE = """
:host { color: inherit; font: 13px system-ui, sans-serif; }
p { margin: 2px 0 6px 0; line-height: 1.5; overflow-wrap: anywhere; }
.facts span { display: inline-block; margin-right: 18px; }
.small { font-size: 12px; opacity: 0.75; }
"""
