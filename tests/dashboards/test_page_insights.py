"""Insights: the map is filled, looked at, clicked, saved, compared; on the demo task and the built-in modules."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from builtin_hub import FULL
from playwright.sync_api import expect
from serving import RUN

TASK = "elemental_bulk_modulus"
MODULES = sorted(FULL, key=str.casefold)
PAGE = f"/insights?hub=builtin&tasks={TASK}"
FRAME = """canvas => {
  const found = []
  const walk = view => {
    if (view.frame !== undefined && view.el !== undefined) found.push(view)
    for (const child of view.children?.() ?? []) walk(child)
  }
  for (const root of Object.values(Bokeh.index.roots ?? Bokeh.index)) walk(root)
  const {left, top, width, height} = found[0].frame.bbox
  const outer = found[0].el.getBoundingClientRect()
  return [outer.left + left, outer.top + top, width, height]
}"""
"""Where the cells of the map are in the window: left, top, width, height."""


def fill(tab, cells: int) -> None:
    """Start what is missing and wait for it."""
    tab.get_by_role("button", name=f"Start {cells} compositions").click()
    tab.get_by_text(f"All {cells} compositions done.").wait_for(timeout=RUN)


def click_cell(tab, module: str) -> None:
    """Click a module's cell of a map with one task, in alphabetical order."""
    tab.get_by_text("Point at a cell for its value").wait_for()
    tab.get_by_text("Point at a cell for its value").scroll_into_view_if_needed()
    left, top, width, height = tab.evaluate(FRAME)
    tab.mouse.click(left + width * (MODULES.index(module) + 0.5) / len(MODULES), top + height / 2)


def saved(tab) -> list[dict[str, str]]:
    """Download the map as CSV and read it."""
    with tab.expect_download() as download:
        tab.get_by_role("button", name="CSV").click()
    with Path(download.value.path()).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_from_missing_combinations_to_the_story_of_a_cell(tabs):
    tab = tabs.open(f"{PAGE}&splits=7,8")
    tab.get_by_text(re.compile(r"^0 of 2 compositions done, 2 missing; about \d+ s on one worker")).wait_for()
    tab.get_by_text("None of these compositions has been made yet").wait_for()
    fill(tab, 2)
    rows = saved(tab)
    assert [row["module"] for row in rows] == MODULES
    assert sum(float(row["value"]) for row in rows) == pytest.approx(1)
    assert {row["splits"] for row in rows} == {"2"}

    weight, top = max((float(row["value"]), row["module"]) for row in rows)
    click_cell(tab, top)
    tab.get_by_text(f"{top} for {TASK}").wait_for()
    assert f"task={TASK}&module={top}" in tab.url
    tab.get_by_text(
        re.compile(
            rf"^Weight {weight:.3f} ± .*, mean over 2 splits: place \d+( to \d+)? of {len(FULL)} modules"
        )
    ).wait_for()
    assert re.search(
        f"hub=builtin&module={top}$", tab.get_by_role("link", name="Module in the hub").get_attribute("href")
    )
    link = tab.get_by_role("cell").get_by_role("link").first.get_attribute("href")
    assert re.fullmatch(r"/compose\?run=[0-9a-f]{32}", link)

    tab.get_by_role("button", name="Proxy errors").click()
    tab.wait_for_url(re.compile("view=proxy"))
    again = tabs.open(tab.url.removeprefix(tabs.dashboard.url))
    again.get_by_text(f"{top} for {TASK}").wait_for()
    again.get_by_text("All 2 compositions done.").wait_for()
    assert {(row["kind"], row["unit"]) for row in saved(again)} == {("proxy error", "log10(GPa)")}
    of_one_split = tabs.open(link).get_by_role("gridcell", name=re.compile(f"^({'|'.join(FULL)})$"))
    of_one_split.first.wait_for()  # which module leads this split is not known here


def test_published_weights_are_read_from_a_data_folder(tabs):
    tab = tabs.open(f"{PAGE}&view=published")
    tab.get_by_text("moma insights fetch-published").first.wait_for()
    expect(tab.get_by_role("button", name="Fetch the published weights").first).to_be_visible()
    place = tabs.dashboard.home / "data" / "published" / "moma_weights_jmp.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("split,task,module,weight\n0,mp_phonons,mp_gvrh,0.75\n0,mp_phonons,mp_kvrh,0.25\n")
    try:
        tab = tabs.open("/insights?view=published&hub=builtin&task=mp_phonons&module=mp_gvrh")
        tab.get_by_text("Published weight 0.750, mean over 1 split: place 1 of 18 modules").wait_for()
        assert len(saved(tab)) == 18
        tab.get_by_role("button", name="PNG").wait_for()
    finally:
        place.unlink()


def test_compositions_can_be_stopped_and_nothing_is_lost(tabs):
    tab = tabs.open(f"{PAGE}&splits=10,11,12,13,14")
    tab.get_by_role("button", name="Start 5 compositions").click()
    tab.get_by_text(re.compile(r"\d running|\d waiting")).wait_for()
    other = tabs.open(f"{PAGE}&splits=10,11,12,13,14")
    tab.get_by_role("button", name="Stop").click()
    for each in (tab, other):
        each.get_by_role("button", name=re.compile(r"^Start \d compositions?$")).wait_for()
        expect(each.get_by_role("button", name="Stop")).to_have_count(0, timeout=RUN)


def test_a_hub_without_modules_says_what_to_do(tabs):
    tab = tabs.open(f"/insights?hub=clean&tasks={TASK}&kind=adapter&splits=1")
    tab.get_by_text("This hub has no adapter module: choose another hub or kind").wait_for()
