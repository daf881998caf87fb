"""Fine-tune: started, stopped, resumed and finished; seen by others, and after the server was killed."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from browsing import Tabs
from builtin_hub import FULL
from playwright.sync_api import expect
from serving import RUN, start, stop

TASK = "elemental_bulk_modulus"
QUICK = "fit.head_epochs:1,fit.min_batches:2,max_atoms:2"
"""A fit of small cells whose epochs take a fraction of a second."""


def address(changes: str, **values: str) -> str:
    rest = "".join(f"&{name}={value}" for name, value in values.items())
    return f"/finetune?task={TASK}&changes={QUICK},{changes}{rest}"


def epoch_of(tab) -> int:
    """Return the number of the epoch that a tab shows; waits for the first."""
    text = tab.get_by_text(re.compile(r"\d+ of \d+ \(best \d+\)")).first.inner_text(timeout=RUN)
    return int(text.split()[0])


def run_of(tab) -> str:
    found = re.search(r"run=([0-9a-f]{32})", tab.url)
    assert found
    return found.group(1)


def test_a_run_is_started_stopped_resumed_and_finished_while_another_tab_watches(tabs):
    tab = tabs.open(address("fit.epochs:14,fit.early_stopping:14", shots="20"))
    tab.get_by_text(f"AMC weighs the {len(FULL)} full modules").wait_for()
    tab.get_by_role("button", name="Start fine-tuning").click()
    before = epoch_of(tab)
    tab.get_by_role("button", name="Stop").click()
    run = run_of(tab)
    tab.get_by_text(
        f"from the composition of {len(FULL)} modules, split 0, 20 training structures, seed 0"
    ).wait_for()
    tab.get_by_text("Fine-tuning cancelled").wait_for(timeout=RUN)
    stopped = epoch_of(tab)
    assert before <= stopped < 14

    tab.get_by_role("button", name="Resume").click()
    expect(tab.get_by_text("Fine-tuning cancelled")).to_have_count(0)
    other = tabs.open(f"/finetune?run={run[:8]}")
    assert epoch_of(other) >= stopped
    expect(other.get_by_label("Epochs (at most)")).to_have_value("14")  # the form says what the run does
    for each in (tab, other):
        each.get_by_text("Fine-tuning finished").wait_for(timeout=RUN)
        assert epoch_of(each) == 14
        assert run_of(each) == run

    tab.get_by_text("Compared with other starts").wait_for()
    tab.get_by_role("gridcell", name="this run").wait_for(timeout=RUN)
    tab.get_by_text("Worst structures").wait_for()
    expect(tab.get_by_role("link", name="Predict with it")).to_have_attribute("href", f"/predict?run={run}")
    expect(tab.get_by_role("link", name="Open in Runs")).to_have_attribute("href", f"/runs?run={run}")
    with tab.expect_download() as given:
        tab.get_by_role("button", name="Predictor (zip)").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(given.value.path()).read_bytes()))
    name = f"{TASK}-composed-split0-20shots-seed0"
    assert set(archive.namelist()) == {f"{name}/predictor.json", f"{name}/predictor.safetensors"}
    with tab.expect_download() as given:
        tab.get_by_role("button", name="Report (HTML)").click()
    assert b"composed module" in Path(given.value.path()).read_bytes()

    tab.reload()
    tab.get_by_text("Fine-tuning finished").wait_for(timeout=RUN)
    tab.get_by_text("14 of 14").wait_for()


def test_starts_are_compared_and_the_same_is_repeated_with_another_seed(tabs):
    tab = tabs.open(address("fit.epochs:2", shots="12", start="backbone"))
    tab.get_by_role("button", name="Start fine-tuning").click()
    tab.get_by_role("gridcell", name="this run").wait_for(timeout=RUN)
    first = run_of(tab)
    tab.get_by_role("button", name="Instant predictor").click()
    tab.get_by_role("gridcell", name="instant, composed module").wait_for(timeout=RUN)

    tab.get_by_role("button", name="Repeat with another seed").click()
    tab.get_by_text("12 training structures, seed 1, at most 2 epochs").wait_for()
    tab.get_by_role("gridcell", name="this run").wait_for(timeout=RUN)
    expect(tab.get_by_role("gridcell", name="bare backbone")).to_have_count(2)
    assert run_of(tab) != first
    tab.go_back()  # the run before is one step back
    tab.get_by_text("12 training structures, seed 0").wait_for()
    assert run_of(tab) == first


def test_what_cannot_be_used_is_said_where_it_stands_and_a_failed_run_says_why(tabs):
    tab = tabs.open(address("fit.epochs:3", start="backbone", split="oops"))
    tab.get_by_text("split=oops").wait_for()
    rate = tab.get_by_label("Learning rate", exact=True)
    rate.fill("fast")
    rate.press("Enter")
    tab.get_by_text("Learning rate must be a number, not 'fast'.").wait_for()
    assert "learning_rate" not in tab.url
    rate.fill("1e6")
    rate.press("Enter")
    expect(tab.get_by_text("must be a number")).to_have_count(0)
    tab.get_by_role("button", name="Start fine-tuning").click()
    tab.get_by_text(re.compile("Training diverged in epoch 1 .*use a smaller learning rate")).first.wait_for(
        timeout=RUN
    )
    tab.get_by_text("Log of the run").click()
    tab.get_by_text("TrainingDivergedError").first.wait_for()


def test_an_address_of_no_fine_tuning_is_said_in_one_sentence(tabs):
    tab = tabs.open("/finetune?run=0123456789abcdef0123456789abcdef")
    tab.get_by_text(re.compile("0123456789abcdef")).first.wait_for()
    expect(tab.get_by_role("button", name="Start fine-tuning")).to_be_enabled()


@pytest.mark.usefixtures("chromium")
def test_a_killed_dashboard_shows_the_run_that_went_on_without_it(chromium, tmp_path):
    dashboard = start(tmp_path / "home")
    tabs = Tabs(chromium, dashboard)
    try:
        tab = tabs.open(address("fit.epochs:5000,fit.early_stopping:5000", start="backbone", shots="10"))
        tab.get_by_role("button", name="Start fine-tuning").click()
        before = epoch_of(tab)
        run = run_of(tab)
        dashboard.kill()
        tab.get_by_text("The dashboard's server is away").wait_for()
        dashboard.restart()
        tab.get_by_role("button", name="Stop").wait_for()  # the page has come back by itself
        assert run_of(tab) == run
        for _ in range(100):  # it tells the run from its first epoch on
            if epoch_of(tab) > before:
                break
            tab.wait_for_timeout(200)
        assert epoch_of(tab) > before
        tab.get_by_role("button", name="Stop").click()
        tab.get_by_text("Fine-tuning cancelled").wait_for(timeout=RUN)
    finally:
        tabs.close()
        stop(dashboard)
    assert not [problem for problem in tabs.problems if "outside" in problem or "page error" in problem]
