"""Ablations, Few-shot, Continual: from choosing to results, stopped and come back to; what is done is never repeated."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from playwright.sync_api import expect
from serving import RUN

TASK = "elemental_bulk_modulus"
ROWS = f"tasks={TASK}&splits=4&hub=builtin"
"""Rows that no other test computes cells for."""


def do(tab, cells: int, of: int) -> None:
    """Start the cells that are missing and wait for them."""
    tab.get_by_role("button", name=re.compile(rf"^Start {cells} cells?$")).click()
    tab.get_by_text(f"All {of} cells done.").wait_for(timeout=RUN)


def saved(tab, button: str) -> list[dict[str, str]]:
    """Download a table and read it."""
    with tab.expect_download() as download:
        tab.get_by_role("button", name=button).click()
    with Path(download.value.path()).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_three_pages_share_their_cells(tabs):
    tab = tabs.open(f"/ablations?{ROWS}&methods=bare")
    tab.get_by_text(re.compile(r"^0 of 2 cells done, 2 missing; about \d+ s on one worker")).wait_for()
    do(tab, 2, of=2)
    tab.get_by_role("gridcell", name=f"{TASK} [log10(GPa)]").wait_for()
    expect(tab.get_by_role("gridcell", name=re.compile(r"^[+−±]\d+\.\d %$"))).to_be_visible()
    rows = saved(tab, "Table (CSV)")
    assert [row["method"] for row in rows] == ["amc", "bare"]
    assert float(rows[0]["difference"]) == 0
    cells = saved(tab, "Single cells (CSV)")
    assert {row["split"] for row in cells} == {"4"}
    assert all(len(row["run"]) == 32 for row in cells)

    again = tabs.open(tab.url.removeprefix(tabs.dashboard.url))
    again.get_by_text("All 2 cells done.").wait_for()
    again.get_by_role("gridcell", name=f"{TASK} [log10(GPa)]").wait_for()
    expect(again.get_by_role("button", name=re.compile("^Start"))).to_have_count(0)

    tab = tabs.open(f"/few-shot?{ROWS}&shots=10,full")
    tab.get_by_text("2 of 4 cells done").wait_for()
    tab.get_by_role("gridcell", name="full (49)").wait_for()
    do(tab, 2, of=4)
    tab.get_by_role("gridcell", name="10", exact=True).wait_for()
    assert {row["shots"] for row in saved(tab, "Table (CSV)")} == {"10.0", ""}

    tab = tabs.open(f"/continual?{ROWS}&added=mp_gvrh")
    tab.get_by_text("1 of 2 cells done").wait_for()
    tab.get_by_text("A point appears when a dataset has been done with both hubs").first.wait_for()
    do(tab, 1, of=2)
    tab.get_by_role("gridcell", name="4, 0").wait_for()
    (row,) = saved(tab, "Table (CSV)")
    assert float(row["proxy_decrease"]) >= 0  # AMC's objective cannot rise with a larger hub


def test_a_plan_is_chosen_by_search_started_and_stopped(tabs):
    tab = tabs.open("/ablations")
    tab.get_by_text("Choose at least one dataset.").wait_for()
    tab.get_by_role("combobox", name="Datasets").click()
    tab.get_by_placeholder("Search...").fill("elemental")
    tab.get_by_role("menuitem", name=re.compile(TASK)).click()
    tab.keyboard.press("Escape")
    tab.get_by_text("0 of 6 cells done").wait_for()
    assert f"tasks={TASK}" in tab.url
    tab.get_by_role("button", name="Start 6 cells").click()
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text(re.compile("cells done, [1-6] missing")).wait_for()
    expect(tab.get_by_role("button", name=re.compile("^Start"))).to_be_enabled()


def test_fine_tuning_is_a_learner_with_a_recipe_and_epochs(tabs):
    tab = tabs.open(f"/few-shot?{ROWS}&learner=finetune")
    tab.get_by_text(re.compile("0 of 4 cells done")).wait_for()  # 49 training structures, so not 100
    epochs = tab.get_by_label("Epochs")
    epochs.fill("none")
    epochs.press("Enter")
    tab.get_by_text("The option epochs of the learner finetune cannot be").wait_for()
    epochs.fill("2")
    epochs.press("Enter")
    tab.wait_for_url(re.compile("options=epochs%3A2"))


def test_a_cell_that_fails_says_why_and_leads_to_its_run(tabs):
    tab = tabs.open(
        f"/few-shot?{ROWS}&methods=bare&shots=full&learner=finetune&options=learning_rate:1e6,epochs:3"
    )
    tab.get_by_role("button", name="Start 1 cell").click()
    tab.get_by_text(re.compile("Training diverged in epoch 1")).first.wait_for(timeout=RUN)
    tab.get_by_text("0 of 1 cell done, 1 failed").wait_for()
    link = tab.get_by_role("link", name=re.compile(r"^run [0-9a-f]{8}$"))
    assert re.search(r"/runs\?run=[0-9a-f]{32}$", link.get_attribute("href"))


def test_what_cannot_be_is_said_in_a_sentence(tabs):
    tab = tabs.open("/continual?tasks=nowhere&added=mp_gvrh&splits=x&hub=builtin")
    tab.get_by_text("splits=x").wait_for()
    tab.get_by_text(re.compile("nowhere")).first.wait_for()
    tab = tabs.open("/few-shot?tasks=<b>bold</b>")
    tab.get_by_text("<b>bold</b>").first.wait_for()
