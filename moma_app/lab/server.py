"""The JupyterLab server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from moma_app.errors import MissingDependencyError
from moma_app.lab.notebooks import FIRST

CONFIG = Path(__file__).with_name("config")
"""Settings of the page: nobody is asked, before he begins, whether he would like to have news of Jupyter."""


def check_installed() -> None:
    """Raise ``MissingDependencyError`` unless JupyterLab is installed."""
    if find_spec("jupyterlab") is None:
        raise MissingDependencyError("JupyterLab is not installed: pip install 'moma-app[lab]'.")


def arguments(folder: Path, *, port: int | None, browser: bool) -> list[str]:
    """Return JupyterLab's arguments for the notebooks in a folder, which open with the first of them.

    Nothing asks the network for news or updates.

    Args:
        folder: of the notebooks.
        port: by default 8888, or the next free one.
        browser: open one.
    """
    given = [
        f"--ServerApp.root_dir={folder.absolute()}",
        f"--LabApp.default_url=/lab/tree/{FIRST}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]
    if port is not None:
        given.append(f"--ServerApp.port={port}")
    if not browser:
        given.append("--no-browser")
    if (
        getattr(os, "geteuid", lambda: 1)() == 0
    ):  # in a container one is root; it listens on this machine only
        given.append("--allow-root")
    return given


def serve(given: Sequence[str]) -> None:
    """Run JupyterLab with these arguments until it is stopped (Ctrl-C twice).

    Raises:
        MissingDependencyError: JupyterLab is not installed.
    """
    check_installed()
    others = os.environ.get("JUPYTER_CONFIG_PATH", "")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (others, str(CONFIG))))
    from jupyterlab.labapp import main

    main(list(given))
