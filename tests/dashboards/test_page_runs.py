"""Runs: found in the list, compared, opened, downloaded, repeated, cancelled and deleted."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets

import pytest
from playwright.sync_api import expect
from serving import RUN

from moma_app.config import override
from moma_app.jobs.jobs import Jobs
from moma_app.tasks import get_task
from moma_app.training.recipe import load_recipe
from moma_app.work.compose import compose_spec
from moma_app.work.composing import AMC
from moma_app.work.finetune import finetune_spec

DEMO = "elemental_bulk_modulus"


@pytest.fixture
def jobs(dashboard):
    """The job layer of another program, such as the command line, over the dashboard's home."""
    with override({"home": dashboard.home, "engine": "local"}), Jobs() as there:
        yield there


def compose(jobs, name: str, k: int) -> str:
    spec = compose_spec(get_task(DEMO), amc=AMC("builtin", k=k))
    return jobs.submit(dataclasses.replace(spec, name=name))


def fit(jobs, name: str, seed: int) -> str:
    """Start a fit that does not end by itself."""
    recipe = load_recipe("finetune").with_fit(epochs=5000, early_stopping=5000, seed=seed)
    return jobs.submit(
        dataclasses.replace(finetune_spec(get_task(DEMO), recipe, start="backbone"), name=name)
    )


def test_runs_of_other_programs_are_compared_opened_repeated_and_deleted(tabs, jobs):
    name = f"<b>pair</b> {secrets.token_hex(2)}"
    first, second = (compose(jobs, name, k) for k in (3, 5))
    tab = tabs.open(f"/runs?text={name.removeprefix('<b>pair</b> ')}")
    rows = tab.get_by_role("row").filter(has_text=name)
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="✓ finished")).to_have_count(2, timeout=RUN)
    expect(rows.first).to_contain_text("objective 0.")
    for box in rows.get_by_role("checkbox").all():
        box.check()
    tab.get_by_role("button", name="Compare 2").click()
    expect(tab.get_by_role("row").filter(has_text="amc.k")).to_contain_text(re.compile("[35].*[35]"))
    expect(tab.get_by_text("amc.temperature")).to_have_count(0)
    assert "compare=" in tab.url
    tab.go_back()
    expect(rows).to_have_count(2)

    rows.filter(has_text=first[:8]).get_by_role("gridcell", name=name).click()
    tab.get_by_role("heading", name=name).wait_for()
    expect(tab.get_by_text("composition.json")).to_be_visible()
    assert tab.url.endswith(f"&run={first[:8]}") or f"run={first[:8]}" in tab.url
    with tab.expect_download() as started:
        row = tab.locator(".bk-panel-models-layout-Column, div").filter(
            has_text=re.compile("^Downloadcomposition.json")
        )
        row.get_by_role("button", name="Download").last.click()
    composition = json.loads(started.value.path().read_text())
    assert composition["task"] == DEMO
    assert sum(module["weight"] for module in composition["modules"]) == pytest.approx(1)
    tab.get_by_text("Log", exact=True).click()
    expect(tab.get_by_text("weights solved")).to_be_visible()
    tab.reload()
    expect(tab.get_by_role("link", name="Open in Compose")).to_have_attribute("href", f"/compose?run={first}")

    tab.get_by_role("button", name="Run again").click()
    tab.wait_for_url(lambda url: "run=" in url and f"run={first[:8]}" not in url)
    expect(tab.get_by_text("✓ finished")).to_be_visible(timeout=RUN)
    again = re.search("run=([0-9a-f]+)", tab.url).group(1)
    assert jobs.record(again).metrics["objective"] == jobs.record(first).metrics["objective"]
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("button", name="Delete it").click()
    expect(rows).to_have_count(2)
    assert {record.id for record in jobs.store.runs(name=name)} == {first, second}


def test_runs_that_wait_are_cancelled_together(tabs, jobs):
    name = f"many {secrets.token_hex(2)}"
    runs = [fit(jobs, name, seed) for seed in range(4)]
    tab = tabs.open(f"/runs?text={name.removeprefix('many ')}", width=768)
    rows = tab.get_by_role("row").filter(has_text=name)
    expect(rows).to_have_count(4)
    tab.get_by_role("checkbox").first.check()
    button = tab.get_by_role("button", name=re.compile("^Cancel [1-4]"))
    button.click()
    tab.get_by_role("button", name=re.compile("^Cancel (them|it)$")).click()
    expect(rows.filter(has_text=re.compile("[…▶]"))).to_have_count(0, timeout=RUN)
    assert {jobs.record(run).state for run in runs} == {"cancelled"}


def test_an_address_without_a_run_says_so(tabs):
    tab = tabs.open("/runs?run=0123456789abcdef")
    tab.get_by_text(re.compile("There is no run called '0123456789abcdef'")).wait_for()
    tab.get_by_role("button", name="All runs").click()
    tab.get_by_role("heading", name="Workers").wait_for()
    tab.get_by_text("mlflow ui --backend-store-uri sqlite:").wait_for()
