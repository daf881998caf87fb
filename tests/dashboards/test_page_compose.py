"""Compose: from choosing a dataset to weights, a first prediction, and why."""

from __future__ import annotations

import re

from builtin_hub import FULL
from playwright.sync_api import expect
from serving import RUN, SALT


def compose(tab) -> str:
    """Press Compose and wait for the end; returns the run's id from the address."""
    tab.get_by_role("button", name="Compose").click()
    tab.get_by_text("Composition finished").wait_for(timeout=RUN)
    return re.search(r"run=([0-9a-f]{32})", tab.url).group(1)


def test_from_choosing_to_weights_and_a_prediction(tabs):
    tab = tabs.open("/?task=elemental_bulk_modulus")
    tab.get_by_text("train / validation / test").wait_for()
    compose(tab)
    tab.get_by_role("gridcell", name="mp_gvrh").wait_for()
    tab.get_by_text(re.compile(r"Test MAE 0\.2\d* log10\(GPa\)")).wait_for(timeout=RUN)
    tab.locator("input[type=file]").set_input_files(
        {"name": "<i>salt</i>.cif", "mimeType": "chemical/x-cif", "buffer": SALT.encode()}
    )
    tab.get_by_text("Prediction finished").wait_for(timeout=RUN)
    tab.get_by_role("gridcell", name="<i>salt</i>.cif").wait_for()
    expect(tab.get_by_role("gridcell", name="NaCl", exact=True)).to_be_visible()


def test_settings_change_the_weights_at_once_and_a_reload_keeps_them(tabs):
    tab = tabs.open("/?task=elemental_bulk_modulus&split=1")
    run = compose(tab)
    tab.get_by_text(re.compile("Test MAE")).wait_for(timeout=RUN)
    temperature = tab.get_by_label("Temperature T")
    temperature.fill("1")
    temperature.press("Enter")
    tab.get_by_text(
        re.compile(rf"Weights for K = 5, T = 1 and {len(FULL)} modules, from the stored embeddings in \d+ ms")
    ).wait_for()
    tab.get_by_role("row", name=re.compile("mp_bandgap")).get_by_role("checkbox").uncheck()
    tab.get_by_text(f"T = 1 and {len(FULL) - 1} modules").wait_for()
    assert f"run={run}" in tab.url
    assert "off=mp_bandgap" in tab.url
    tab.reload()
    tab.get_by_text(f"T = 1 and {len(FULL) - 1} modules").wait_for()


def test_one_composes_while_another_fine_tunes_and_closing_a_tab_stops_nothing(tabs):
    changes = "fit.epochs:5000,fit.early_stopping:5000,fit.head_epochs:1,fit.min_batches:2,max_atoms:2"
    first = tabs.open(
        f"/finetune?task=elemental_bulk_modulus&shots=10&start=backbone&split=2&changes={changes}"
    )
    first.get_by_role("button", name="Start fine-tuning").click()
    first.get_by_text(re.compile(r"\d+ of 5000 \(best \d+\)")).first.wait_for(timeout=RUN)
    address = first.url.removeprefix(tabs.dashboard.url)
    second = tabs.open("/?task=elemental_bulk_modulus&split=2")
    compose(second)
    first.close()
    again = tabs.open(address)
    again.get_by_text(re.compile(r"\d+ of 5000 \(best \d+\)")).first.wait_for(timeout=RUN)
    again.get_by_role("button", name="Stop").click()
    again.get_by_text("Fine-tuning cancelled").wait_for(timeout=RUN)


def test_an_address_of_nothing_is_said_in_one_sentence(tabs):
    tab = tabs.open("/?run=0123456789abcdef0123456789abcdef")
    tab.get_by_text(re.compile("[Rr]un.*0123456789abcdef")).first.wait_for()


def test_a_module_kind_without_modules_is_said(tabs):
    tab = tabs.open("/?task=elemental_bulk_modulus&kind=adapter&hub=clean")
    tab.get_by_role("button", name="Compose").click()
    tab.get_by_text(re.compile("no usable module of kind 'adapter'")).first.wait_for(timeout=RUN)
