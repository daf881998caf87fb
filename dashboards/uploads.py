"""Files that a user drops on a page: limited, kept under names of our own, read as data only."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboards.services import uploads_folder
from dashboards.session import Session

MEGABYTE = 1_000_000
CHUNK = 4 * MEGABYTE
"""Bytes of a file that are sent in one message."""
DEFAULT_LIMIT_MB = 200
KEEP_DAYS = 7.0
"""Uploads that no page used lately are cleared away after so many days."""
_LIMIT = {"bytes": DEFAULT_LIMIT_MB * MEGABYTE}


def set_limit(megabytes: int) -> None:
    """Set the most that may be uploaded at once, for all sessions of this server."""
    _LIMIT["bytes"] = megabytes * MEGABYTE


@dataclass(frozen=True)
class Upload:
    """A file that was given to a page.

    Attributes:
        name: what the user calls it: shown, never used as a path.
        path: where it lies, under a name of our own with the same suffix.
    """

    name: str
    path: Path


class DropBox(JSComponent):
    """A box to drop files into; they go to disk piece by piece, and are never wholly in memory."""

    label = param.String(default="Drop a file here, or press to choose one")
    suffixes = param.List(default=[], item_type=str, doc="Accepted endings, such as .cif; all by default.")
    many = param.Boolean(default=False, doc="More than one file at once.")
    status = param.String(doc="Shown instead of the label.")
    limit = param.Integer(doc="Bytes that may be given at once.")
    chunk = param.Integer(default=CHUNK)

    _esm = Path(__file__).with_name("uploads.js")
    _stylesheets: ClassVar[list[str]] = [
        """
        .box { display: flex; align-items: center; justify-content: center; min-height: 88px; padding: 8px 16px;
               box-sizing: border-box; border: 1.5px dashed var(--mui-palette-text-secondary, #777); border-radius: 6px;
               color: var(--mui-palette-text-secondary, inherit); cursor: pointer; text-align: center;
               font: 13px system-ui, sans-serif; overflow-wrap: anywhere; }
        .box:hover, .box.over, .box:focus-visible { border-color: var(--mui-palette-primary-main, #0072b2);
               color: var(--mui-palette-primary-main, #0072b2); outline: none; }
        .box.busy { cursor: progress; opacity: 0.7; }
        input { position: absolute; width: 1px; height: 1px; opacity: 0; }
        """
    ]

    def __init__(
        self,
        session: Session,
        on_files: Callable[[list[Upload]], None],
        *,
        label: str,
        suffixes: Sequence[str] = (),
        many: bool = False,
    ) -> None:
        """Make a box.

        Args:
            session: of the page.
            on_files: is called in the page when all that were dropped together are here.
            label: what to drop.
            suffixes: endings that the browser offers.
            many: more than one file at once.
        """
        super().__init__(
            label=label,
            suffixes=list(suffixes),
            many=many,
            limit=_LIMIT["bytes"],
            sizing_mode="stretch_width",
            margin=(6, 10),
        )
        self._session = session
        self._on_files = on_files
        self._folder: Path | None = None
        self._files: list[Upload] = []
        self._received = 0

    def _handle_msg(self, data: dict[str, Any]) -> None:
        if data.get("what") == "refused":
            self._session.fail(str(data.get("message", ""))[:200])
            return
        go_on = False
        try:
            go_on = self._take(data)
        except (OSError, KeyError, TypeError, ValueError) as exc:
            self._session.fail(f"The upload stopped: {exc}.")
        self._send_msg({"go_on": go_on})

    def _take(self, piece: dict[str, Any]) -> bool:
        """Write one piece; says whether the browser should send more."""
        content = bytes(piece["data"])
        number, count, offset, size = (int(piece[key]) for key in ("number", "count", "offset", "size"))
        if number == 0 and offset == 0:
            self._begin()
        self._received += len(content)
        if self._received > self.limit or self._folder is None:
            self._forget()
            self._session.fail(f"At most {self.limit / MEGABYTE:.0f} MB can be given at once.")
            return False
        name = str(piece["name"])[:200]
        path = self._folder / f"{number:05d}{safe_suffix(name)}"
        with path.open("wb" if offset == 0 else "ab") as stream:
            stream.write(content)
        self.status = f"Receiving {name} ({number + 1} of {count})"
        if path.stat().st_size >= size:
            self._files.append(Upload(name, path))
            if number == count - 1:
                files, self._files = self._files, []
                self.status = ""
                self._session.guard(self._on_files)(files)
        return True

    def _begin(self) -> None:
        clear_old()
        self._folder = uploads_folder() / secrets.token_hex(8)
        self._folder.mkdir(mode=0o700)
        self._files, self._received = [], 0

    def _forget(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder, self._files, self.status = None, [], ""


def safe_suffix(name: str) -> str:
    """Return the ending of a file's name by which its format is known; nothing else of the name is used."""
    if re.fullmatch(r"(POSCAR|CONTCAR)([._-].*)?", name, re.IGNORECASE):
        return ".poscar"
    found = re.search(r"(\.[A-Za-z0-9]{1,8}){1,2}$", name)
    return found.group(0).lower() if found else ""


def clear_old() -> None:
    """Remove uploads that nobody has used for some days."""
    limit = time.time() - KEEP_DAYS * 86_400
    for folder in uploads_folder().iterdir():
        if folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
