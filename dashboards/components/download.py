"""A button that makes a file when it is pressed, beside the page, and gives it to the browser."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import panel_material_ui as pmui

from dashboards.session import Session
from moma_app.errors import InputError

LARGEST = 200_000_000
"""Bytes that are sent through the page; what is larger is for a command."""


def download(
    session: Session, label: str, filename: str, make: Callable[[], bytes], **options: Any
) -> pmui.FileDownload:
    """Return a button that downloads a file.

    Args:
        session: of the page.
        label: of the button.
        filename: that the browser proposes.
        make: is called in a thread and returns the file's content; what it raises is told on the page.
        options: of the button.
    """

    async def fetch() -> io.BytesIO:
        try:
            return io.BytesIO(await asyncio.to_thread(make))
        except Exception as exc:
            text = session.sentence(exc)
            session.later(lambda: session.fail(text))
            raise

    look = {"size": "small", "variant": "outlined", "color": "primary", **options}
    return pmui.FileDownload(callback=fetch, filename=filename, label=label, auto=True, **look)


def zipped(files: Mapping[str, Path]) -> bytes:
    """Return a zip file of files, by their names in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            archive.write(path, name)
    return buffer.getvalue()


def small_enough(size: int, instead: str) -> None:
    """Refuse a file that is too large for a page.

    Args:
        size: in bytes.
        instead: what the user can do.

    Raises:
        InputError: it is too large.
    """
    if size > LARGEST:
        raise InputError(f"This is {size / 1e6:,.0f} MB, too much to send through a page: {instead}.")
