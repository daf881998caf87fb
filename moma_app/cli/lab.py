"""``moma lab``: the notebooks in JupyterLab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moma_app.cli.output import say, warn

if TYPE_CHECKING:
    from moma_app.lab.notebooks import Copied


def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Copy the notebooks here and open the copies; by default those of the repository are opened themselves, "
            "and of an installed package copies in moma-notebooks. What you have changed there stays.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port; by default 8888, or the next free one."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    copy_only: Annotated[
        bool, typer.Option("--copy-only", help="Copy the notebooks and open nothing.")
    ] = False,
) -> None:
    """Open the notebooks in JupyterLab. Ctrl-C twice ends it."""
    from moma_app.config import get_settings
    from moma_app.lab.notebooks import COPIES, copy_notebooks, in_repository
    from moma_app.lab.server import arguments, check_installed, serve

    get_settings()  # what is wrong with them is said now, not in every notebook
    if not copy_only:
        check_installed()
    place = in_repository() if folder is None and not copy_only else None
    if place is None:
        copied = copy_notebooks(folder or COPIES)
        _tell(copied)
        place = copied.folder
    if copy_only:
        return
    say(f"Notebooks: {place}")
    serve(arguments(place, port=port, browser=browser))


def _tell(copied: Copied) -> None:
    if copied.written:
        say(f"Copied to {copied.folder}: {', '.join(copied.written)}")
    if copied.kept:
        warn(
            f"Left as they are in {copied.folder}, because they were changed there: {', '.join(copied.kept)}. "
            "Rename one to get the package's."
        )
