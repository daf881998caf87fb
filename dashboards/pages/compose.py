"""Compose page."""
from __future__ import annotations
from collections.abc import Sequence
import panel_material_ui as pmui
import panel as pn
from panel.viewable import Viewable
from dashboards.session import Session
from dashboards.uploads import DropBox
from dashboards.components.layout import *
from dashboards.components.run_panel import RunPanel
from dashboards.components.figure import Figure
from dashboards.components.table import Table

def spec():
    from moma_app.tasks import get_task
    from moma_app.work.compose import compose_spec
    return compose_spec(get_task("elemental_bulk_modulus"), instant=True)

def build(session: Session) -> Sequence[Viewable]:
    fig = Figure(session, waiting="Press Compose to see the weights.")
    table = Table(session, ["module", "weight"], digits={"weight":3}, on_click=lambda i: session.say(str(i)))
    def done(result):
        from moma_app.amc.result import AMCResult
        from moma_app.plots import weight_bars
        r = AMCResult.from_dict(result["composition"])
        fig.show(lambda mode: weight_bars(r, mode=mode))
        table.show([{"module": m+"<b>x</b>", "weight": w} for m,w in r.weights.items()])
    run = RunPanel(session, on_finished=done, what="Composition")
    b = pmui.Button(label="Compose", color="primary")
    b.on_click(lambda _: run.start(spec))
    return [columns(section("Dataset", b, run, note="What <b>is</b> done"), section("Weights", fig, table), widths=[4,8]), section("Drop", DropBox(session, lambda files: session.say(str(files)), label="Drop CIF files", suffixes=[".cif"], many=True)), empty("Nothing here. Press Compose.")]
