"""Predict: files dropped, the whole hub asked, bad files told."""

from __future__ import annotations

import re

from serving import RUN, SALT

from moma_app.hub.hub import Hub


def test_the_whole_hub_predicts_and_a_bad_file_is_told(tabs):
    tab = tabs.open("/predict?hub=builtin")
    tab.locator("input[type=file]").set_input_files(
        [
            {"name": "salt.cif", "mimeType": "chemical/x-cif", "buffer": SALT.encode()},
            {"name": "bad.cif", "mimeType": "chemical/x-cif", "buffer": b"<b>no structure</b>"},
        ]
    )
    tab.get_by_text("salt.cif, bad.cif").wait_for()
    tab.get_by_role("button", name="Predict").click()
    tab.get_by_text("1 could not be used").wait_for(timeout=RUN)
    tab.get_by_text(re.compile("^bad.cif: ")).wait_for()
    for module in ("castelli_eform", "mp_bandgap"):  # in the part of the table that is drawn
        tab.get_by_role("gridcell", name=module, exact=True).wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download CSV").click()
    table = download.value.path().read_text().splitlines()
    assert table[0].startswith("file,formula,n_atoms,module,property,value,std,unit")
    assert len(table) == 1 + len(Hub.open("builtin"))
    tab.reload()
    tab.get_by_role("gridcell", name="mp_bandgap", exact=True).wait_for()
    late_rows_are_shown(tab)


def late_rows_are_shown(tab) -> None:
    """Give the table other rows while it is being built; Panel itself would drop them."""
    tab.evaluate(
        """() => {
            const [table] = [...Bokeh.index.query((view) => view.model.type.endsWith("DataTabulator"))]
            const {source} = table.model
            table.render()
            source.data = {...source.data, Module: Array.from(source.data.Module, (name) => `late ${name}`)}
        }"""
    )
    tab.get_by_role("gridcell", name="late mp_bandgap", exact=True).wait_for(timeout=10_000)


def test_too_large_an_upload_is_refused(tabs):
    tab = tabs.open("/predict")
    box = tab.locator("input[type=file]")
    box.wait_for(state="attached")
    box.evaluate(
        """input => {
            const files = new DataTransfer()
            const large = new File([new Uint8Array(1)], "large.cif")
            Object.defineProperty(large, "size", {value: 300e6})
            files.items.add(large)
            Object.defineProperty(input, "files", {value: [large]})
            input.dispatchEvent(new Event("change"))
        }"""
    )
    tab.get_by_text("These are 300 MB; at most 200 MB can be given at once.").wait_for()
