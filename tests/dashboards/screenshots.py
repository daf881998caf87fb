"""Pictures of all pages, light and dark, for README and docs: ``make screenshots``.

Work is done first, by real runs: with MOMA_DATA on three real datasets, without it on the embedded one.
The home (--home) is kept, so that pictures can be taken again without doing the work again.
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from serving import CHROMIUM, FLAGS, SALT, start, stop

WIDTH, HEIGHT = 1280, 860
HEIGHTS = {"compose": 2050, "finetune": 1500, "data": 1150}
"""Of pages whose point is further down."""
READY = {
    "compose": "Test MAE",
    "insights": "Point at a cell",
    "finetune": "Worst structures",
    "ablations": "cells done.",
    "few-shot": "cells done.",
    "continual": "cells done.",
    "predict": "Reset view",
    "data": "train / validation / test",
}
"""What a page shows when it has read its results."""
WAIT = 6000
"""Milliseconds that a page gets to draw everything after that."""
COLORS = 200
DEMO = "elemental_bulk_modulus"
REAL = ("jarvis_2d_eform", "mp_phonons", "piezoelectric_tensor")


def work(tasks: tuple[str, ...]) -> dict[str, str]:
    """Do what the pages will show; returns the addresses to photograph, by page."""
    from moma_app.experiments.ablation import Ablation
    from moma_app.experiments.continual import Continual
    from moma_app.experiments.few_shot import FewShot
    from moma_app.experiments.insights import Insights
    from moma_app.experiments.standing import start as start_plan
    from moma_app.jobs.batch import run_all
    from moma_app.jobs.jobs import Jobs
    from moma_app.tasks import get_task
    from moma_app.training.recipe import load_recipe
    from moma_app.work.compose import compose_spec
    from moma_app.work.finetune import finetune_spec
    from moma_app.work.predict import predict_spec

    first = get_task(tasks[0])
    recipe = load_recipe("finetune").with_fit(epochs=8)
    with Jobs() as jobs:
        composed, tuned = run_all(
            jobs, [compose_spec(first, instant=True), finetune_spec(first, recipe, start="composed")]
        )
        cif = jobs.settings.home / "NaCl.cif"
        cif.write_text(SALT)
        (predicted,) = run_all(jobs, [predict_spec([cif])])
        for plan in (
            Insights(tasks=tasks, splits=(0, 1)),
            Ablation(tasks=tasks, splits=(0, 1)),
            FewShot(tasks=tasks[:1], splits=(0, 1, 2), shots=(10, 30, None)),
            Continual(tasks=tasks, splits=(0, 1), before=("mp_bandgap", "mp_kvrh")),
        ):
            for run in start_plan(plan, jobs):
                jobs.wait(run)
    named = ",".join(tasks)
    return {
        "compose": f"/?task={tasks[0]}&run={composed.run_id}",
        "insights": f"/insights?tasks={named}&splits=0,1",
        "finetune": f"/finetune?run={tuned.run_id}",
        "ablations": f"/ablations?tasks={named}&splits=0,1",
        "few-shot": f"/few-shot?tasks={tasks[0]}&splits=0,1,2&shots=10,30,all",
        "continual": f"/continual?tasks={named}&splits=0,1&added=castelli_eform,mp_gvrh",
        "predict": f"/predict?run={predicted.run_id}",
        "hub": "/hub",
        "data": f"/data?task={tasks[0]}",
        "runs": "/runs",
    }


def photograph(page: Page, path: Path) -> None:
    """Save what is seen, with few colours: text and lines need no more."""
    from PIL import Image

    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--page", action="append", help="only this page")
    given = parser.parse_args()
    home = given.home.absolute()
    os.environ["MOMA_HOME"] = str(home)
    data = os.environ.get("MOMA_DATA", "")
    addresses = work(REAL if data else (DEMO,))
    given.folder.mkdir(parents=True, exist_ok=True)
    server = start(home, MOMA_DATA=data)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for theme in ("light", "dark"):
                context = browser.new_context()
                context.add_cookies([{"name": "moma_theme", "value": theme, "url": server.url}])
                page = context.new_page()
                for name, address in addresses.items():
                    if given.page and name not in given.page:
                        continue
                    page.set_viewport_size({"width": WIDTH, "height": HEIGHTS.get(name, HEIGHT)})
                    page.goto(server.url + address)
                    if name in READY:
                        page.get_by_text(READY[name]).first.wait_for(timeout=60_000)
                    page.wait_for_timeout(WAIT)
                    photograph(page, given.folder / f"{name}-{theme}.png")
                    print(f"{name}-{theme}.png", flush=True)
                context.close()
            browser.close()
    finally:
        stop(server)


if __name__ == "__main__":
    main()
