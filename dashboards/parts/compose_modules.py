"""The modules of a composition: proxy errors as they come, then weights; K, T and the set change them at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import panel as pn
import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from dashboards.components.figure import Figure
from dashboards.components.layout import literal, muted
from dashboards.components.table import Table
from dashboards.parts.compose_state import ComposeState
from dashboards.services import artefact, get_hub
from dashboards.session import Mode, Session
from moma_app.errors import MomaError
from moma_app.progress import Event, ModuleEncoded, WeightsSolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from moma_app.amc.result import AMCResult
    from moma_app.amc.stored import StoredNeighbours
    from moma_app.plots.live import Encoded, Live

NEIGHBOURS = "neighbours.safetensors"


class ModulesPart(Viewer):
    """Bars and a table of modules, from the first one that is encoded to the weights of all.

    Args:
        session: of the page.
        state: of the page; its K, T and modules that are off are followed.
        on_weights: is called with the result as it stands: after the run, and after every change.
    """

    def __init__(
        self,
        session: Session,
        state: ComposeState,
        on_weights: Callable[[AMCResult, StoredNeighbours | None], None],
    ) -> None:
        super().__init__()
        self._session, self._state, self._on_weights = session, state, on_weights
        self._encoded: dict[str, float] = {}
        self._weights: dict[str, float] | None = None
        self._modules: tuple[str, ...] = ()
        self._names: list[str] = []
        self._live: Live[Encoded] | None = None
        self._run: tuple[AMCResult, StoredNeighbours | None] | None = None
        self._shown: AMCResult | None = None
        self._quiet = False
        self._figure = Figure(
            session,
            height=190,
            waiting="Modules appear here one by one as they are encoded. Choose a dataset and press Compose.",
        )
        self._note = pmui.Typography("", variant="body2", margin=(2, 10), sx={"color": "text.secondary"})
        self._table_place = pn.Column(sizing_mode="stretch_width", min_height=120, margin=0)
        self._table: Table | None = None
        self._unit = ""
        self._view = pn.Column(
            self._figure, self._note, self._table_place, sizing_mode="stretch_width", margin=0
        )
        state.param.watch(session.guard(lambda _: self._reweigh()), ["k", "t", "off"])

    # -- during the run --------------------------------------------------------------------------

    def clear(self) -> None:
        """Show that there is no composition."""
        self._unit, self._modules = "", ()
        self._encoded, self._weights, self._live = {}, None, None
        self._run = self._shown = None
        self._figure.clear()
        self._note.object = ""
        self._table, self._table_place.objects = None, []

    def begin(self, unit: str, modules: Sequence[str]) -> None:
        """Keep the places free for the modules of a run that begins.

        Args:
            unit: of the task.
            modules: names of those that will be encoded.
        """
        self._unit, self._modules = unit, tuple(modules)
        if self._run is None:
            self._figure.show(self._draw_live)
            self._fill([(name, None, None) for name in modules])

    def events(self, events: list[Event]) -> None:
        """Take what the run says."""
        before = len(self._encoded), self._weights
        for event in events:
            if isinstance(event, ModuleEncoded):
                self._encoded[event.module] = event.proxy_mae
            elif isinstance(event, WeightsSolved):
                self._weights = event.weights
        if self._run is not None or before == (len(self._encoded), self._weights):
            return
        if self._live is not None:
            self._live.send(self._so_far())
        weights = self._weights or {}
        names = self._modules or tuple(self._encoded)
        self._fill([(name, self._encoded.get(name), weights.get(name)) for name in names])

    def _draw_live(self, mode: Mode) -> Any:
        from moma_app.plots.live import live_bars

        predicts = predicted_properties(self._state.hub)
        self._live = live_bars(self._modules, unit=self._unit, predicts=predicts, mode=mode)
        self._live.send(self._so_far())
        return self._live.figure

    def _so_far(self) -> Encoded:
        from moma_app.plots.live import Encoded

        return Encoded(dict(self._encoded), self._weights)

    # -- after it --------------------------------------------------------------------------------

    def show(self, run_id: str, result: AMCResult) -> None:
        """Show a finished composition; its neighbours are fetched, so that K, T and modules can change."""
        self._unit = result.unit

        def fetch() -> StoredNeighbours | None:
            from moma_app.amc.stored import StoredNeighbours
            from moma_app.errors import DataNotFoundError

            try:
                return StoredNeighbours.load(artefact(run_id, NEIGHBOURS))
            except DataNotFoundError:
                return None  # a run of an earlier version

        def ready(stored: StoredNeighbours | None) -> None:
            self._run = (result, stored)
            self._present(result)
            self._reweigh()

        self._session.background(fetch, ready)

    def _present(self, result: AMCResult) -> None:
        from moma_app.plots import weight_bars

        self._shown = result
        self._figure.show(lambda mode: weight_bars(result, mode=mode))
        of_run = {score.module: score for score in self._run[0].modules} if self._run else {}
        now = {score.module: score for score in result.modules}
        self._fill(
            [
                (
                    name,
                    now[name].proxy_mae if name in now else score.proxy_mae,
                    now[name].weight if name in now else None,
                )
                for name, score in of_run.items()
            ]
        )
        self._on_weights(result, self._run[1] if self._run else None)

    def _reweigh(self) -> None:
        """Weigh anew with the K, T and modules of the page, from the stored neighbours."""
        if self._run is None:
            return
        result, stored = self._run
        modules = [score.module for score in result.modules if score.module not in self._state.off]
        wanted = (self._state.k, self._state.t, modules)
        if self._shown is not None and wanted == _settings(self._shown):
            return
        if stored is None:
            self._note.object = "This run kept no neighbours: press Compose to use other settings."
            return
        from moma_app.amc.reweigh import reweigh

        started = time.perf_counter()
        try:
            changed = reweigh(stored, result, k=self._state.k, temperature=self._state.t, modules=modules)
        except MomaError as exc:
            self._note.object = literal(str(exc))
            return
        milliseconds = 1000 * (time.perf_counter() - started)
        self._present(changed)
        same = wanted == _settings(result)
        self._note.object = (
            ""
            if same
            else f"Weights for K = {changed.k}, T = {changed.temperature:g} and {len(modules)} modules, from the stored "
            f"embeddings in {milliseconds:.0f} ms. The predictions below are still those of the run: press Compose to renew them."
        )

    # -- the table -------------------------------------------------------------------------------

    def _fill(self, rows: list[tuple[str, float | None, float | None]]) -> None:
        unit = f" ({self._unit})" if self._unit else ""
        error = f"Proxy MAE{unit}"
        predicts = predicted_properties(self._state.hub)
        self._names = [name for name, _, _ in rows]
        ticked = [number for number, name in enumerate(self._names) if name not in self._state.off]
        table = self._table
        if table is None:
            table = Table(
                self._session,
                ["Module", "Predicts", error, "Weight"],
                digits={error: 4, "Weight": 3},
                selectable=True,
                page_size=10,
            )
        self._quiet = True
        table.show(
            [
                {"Module": name, "Predicts": predicts.get(name, ""), error: mae, "Weight": weight}
                for name, mae, weight in rows
            ]
        )
        if table.selected != ticked:
            table.widget.selection = ticked
        self._quiet = False
        if self._table is None:  # shown when it is filled: a table that is just being built takes no ticks
            self._table = table
            table.widget.param.watch(self._session.guard(lambda _: self._ticked()), "selection")
            self._table_place.objects = [
                muted("Untick a module to leave it out; the weights follow at once."),
                table,
            ]

    def _ticked(self) -> None:
        if self._quiet or self._table is None or self._run is None:
            return
        on = {self._names[number] for number in self._table.selected}
        if not on:
            self._session.fail("At least one module is needed.")
            self._fill([(s.module, s.proxy_mae, s.weight) for s in (self._shown or self._run[0]).modules])
            return
        self._state.off = [name for name in self._names if name not in on]

    def __panel__(self) -> Viewable:
        return self._view


def _settings(result: AMCResult) -> tuple[int, float, list[str]]:
    return (result.k, result.temperature, [score.module for score in result.modules])


def predicted_properties(hub: str) -> dict[str, str]:
    """Return what each module of a hub predicts, with its unit."""
    return {
        card.name: f"{card.target.property} ({card.target.unit})"
        if card.target.unit
        else card.target.property
        for card in get_hub(hub).cards()
    }
