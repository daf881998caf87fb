"""What the tests of the widgets share: a composition that is made once."""

from __future__ import annotations

import pytest

pytest.importorskip("ipywidgets", reason="the widgets need the extra lab")
pytest.importorskip("jupyter_bokeh", reason="the widgets need the extra lab")


@pytest.fixture(scope="session")
def composition(tmp_path_factory):
    """The embedded task, composed from the built-in hub."""
    from moma_app.amc.compose import compose
    from moma_app.hub.hub import Hub
    from moma_app.tasks import get_task

    return compose(
        get_task("elemental_bulk_modulus"),
        Hub.open("builtin"),
        graph_folder=tmp_path_factory.mktemp("graphs"),
    )


@pytest.fixture(autouse=True, scope="session")
def _page():
    """A page has loaded Bokeh and says so, as ``bokehjs.js`` does."""
    from moma_app.widgets.library import library

    library().button.click()
