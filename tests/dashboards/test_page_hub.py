"""Hub: 45 modules searched, one looked at, verified, exported, removed and brought back; a new one trained."""

from __future__ import annotations

import re
import zipfile

import pytest
from module_factory import make_module, small_state
from playwright.sync_api import expect
from serving import RUN

from moma_app.hub import Hub
from moma_app.hub.card import EpochRecord, Metrics, Target


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A hub of 45 modules and a damaged one."""
    hub = tmp_path_factory.mktemp("hub")
    curve = tuple(
        EpochRecord(epoch=n, train_error=1 / n, val_error=2 / n, learning_rate=1e-3) for n in range(1, 9)
    )
    for n in range(45):
        target = Target(task="mp_kvrh", property=("bulk modulus", "band gap <i>")[n % 2], unit="eV")
        metrics = Metrics(test_mae=1 / (n + 1), test_mad=1.0)
        state = small_state(n, ("full", "adapter")[n % 3 == 2])
        make_module(
            f"m{n:02d}",
            state,
            kind=("full", "adapter")[n % 3 == 2],
            target=target,
            metrics=metrics,
            curve=curve,
        ).save(hub)
    (hub / "broken.json").write_text('{"name": "broken"}')
    return hub


def cards(tab):
    return tab.locator("a.card")


def test_a_hub_of_45_modules(tabs, folder, tmp_path):
    tab = tabs.open(f"/hub?hub={folder}")
    expect(tab.get_by_text("1–24 of 45 modules")).to_be_visible()
    expect(cards(tab)).to_have_count(24)
    expect(tab.get_by_text(re.compile("broken.json cannot be read"))).to_be_visible()
    expect(tab.get_by_text("band gap <i> (eV)").first).to_be_visible()
    tab.get_by_role("button", name="Go to page 2").click()
    expect(cards(tab)).to_have_count(21)
    search = tab.get_by_label("Search")
    search.fill("bulk")
    search.press("Enter")
    expect(tab.get_by_text("1–23 of 23 modules")).to_be_visible()
    tab.get_by_label("Sort by").click()
    tab.get_by_role("menuitem", name="MAE/MAD, lowest first").click()
    expect(cards(tab).first).to_contain_text("m44")
    assert "order=error" in tab.url
    tab.reload()
    expect(cards(tab).first).to_contain_text("m44")

    cards(tab).first.click()
    expect(tab.get_by_text("Provenance")).to_be_visible()
    expect(tab.get_by_text("No finished composition has weighed this module yet")).to_be_visible()
    tab.get_by_role("button", name="Verify").click()
    expect(tab.get_by_text("m44 is sound")).to_be_visible()
    with tab.expect_download() as started:
        tab.get_by_role("button", name="Export (zip)").click()
    exported = tmp_path / "m44.zip"
    started.value.save_as(exported)
    assert len(zipfile.ZipFile(exported).namelist()) == 2
    tab.get_by_role("button", name="Remove").click()
    tab.get_by_role("button", name="Remove it").click()
    expect(tab.get_by_text("1–22 of 22 modules")).to_be_visible()
    assert "m44" not in Hub(folder)

    tab.locator("input[type=file]").set_input_files(exported)
    expect(tab.get_by_text(re.compile(r"Added to .*: m44\."))).to_be_visible()
    expect(tab.get_by_text("1–23 of 23 modules")).to_be_visible()
    Hub(folder)["m44"].verify()
    tab.get_by_role("button", name="Verify all").click()
    expect(tab.get_by_text("45 modules sound, 1 damaged.")).to_be_visible()


def test_elsewhere_is_told_in_one_sentence(tabs):
    tab = tabs.open("/hub?hub=builtin&module=mp_kvrh", width=768, dark=True)
    expect(tab.get_by_role("button", name="Modules that come with MoMa stay.")).to_be_disabled()
    tab.get_by_role("button", name="All modules").click()
    expect(cards(tab)).to_have_count(24)  # on the first page
    tab.get_by_label("OWNER/REPOSITORY on Hugging Face, or file:FOLDER").fill("file:/nowhere/at all")
    tab.get_by_role("button", name="Fetch").click()
    expect(tab.get_by_text("There is no hub at /nowhere/at all: that folder does not exist.")).to_be_visible()


def test_a_module_is_trained_into_my_hub(tabs, dashboard):
    tab = tabs.open("/hub")
    task = tab.get_by_label("Task with many labels")
    expect(task).not_to_be_empty()
    task.click()
    tab.get_by_role("menuitem", name=re.compile("^elemental_bulk_modulus")).click()
    tab.get_by_label("Epochs at most (0: the recipe's)").fill("1")
    name = tab.get_by_label("Name (empty: the task's)")
    name.fill("trained-here")
    name.press("Tab")
    tab.get_by_role("button", name="Train module").click()
    expect(tab.get_by_text("Training finished")).to_be_visible(timeout=RUN)
    tab.get_by_label("Search").fill("trained-here")
    tab.get_by_label("Search").press("Enter")
    expect(cards(tab).filter(has_text="trained-here")).to_be_visible()
    assert "run=" in tab.url
    Hub(dashboard.home / "hub")["trained-here"].verify()
    second = tabs.open(tab.url.removeprefix(tabs.dashboard.url))
    expect(second.get_by_text("Training finished")).to_be_visible()
