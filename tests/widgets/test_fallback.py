"""What becomes of a widget in a notebook that is made into HTML."""

from __future__ import annotations

import nbformat
import pytest

from moma_app.widgets import Composer, HubExplorer

BeautifulSoup = pytest.importorskip("bs4", reason="comes with JupyterLab").BeautifulSoup
nbconvert = pytest.importorskip("nbconvert", reason="comes with JupyterLab")


@pytest.mark.parametrize("make", [HubExplorer, Composer], ids=["HubExplorer", "Composer"])
def test_a_page_without_a_kernel_shows_the_picture(make, composition):
    widget = make(composition, hub="builtin") if make is Composer else make("builtin")
    bundle = widget._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data=bundle, execution_count=1)
    cell = nbformat.v4.new_code_cell("widget", outputs=[output], execution_count=1)
    page, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert "castelli_eform" in page
    shown, picture = (BeautifulSoup(text, "html.parser") for text in (page, widget.to_html()))
    assert picture.get_text() in shown.get_text()  # nbconvert orders attributes anew
    assert len(shown.find_all("polyline")) == len(picture.find_all("polyline"))
    widget.close()
