"""Files from the network: verified, resumed, and either wholly there or not at all."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from moma_app.errors import DamagedFileError, DataNotFoundError, InputError
from moma_app.files import lock_for, sha256_of_file
from moma_app.progress import Listener, Step, silent

TIMEOUT = 30.0
"""Seconds without any byte after which a connection is given up."""
_CHUNK = 1 << 18
_SCHEMES = {"http", "https", "file"}


def download(
    url: str, target: Path, *, sha256: str | None = None, what: str | None = None, progress: Listener = silent
) -> None:
    """Download ``url`` to ``target`` unless it is there.

    What a broken connection left (``target`` plus ``.part``) is continued where the server
    can do that. The file gets its name only when it is complete and its checksum right.

    Raises:
        DataNotFoundError: the address cannot be reached; names it.
        DamagedFileError: the file does not have the expected SHA-256.
        InputError: the address is none of http, https or file.
    """
    if urlsplit(url).scheme not in _SCHEMES:
        raise InputError(f"{url} is no http, https or file address.")
    with lock_for(target):
        if target.exists():
            return
        part = target.with_name(target.name + ".part")
        try:
            _transfer(url, part, what or target.name, progress)
        except (urllib.error.URLError, OSError, ValueError) as exc:
            raise DataNotFoundError(_unreachable(url, exc)) from exc
        if sha256 is not None and sha256_of_file(part) != sha256:
            part.unlink()
            raise DamagedFileError(
                f"What {url} gave does not have the expected SHA-256 {sha256[:12]}…: try again."
            )
        part.replace(target)


def read_text(url: str) -> str:
    """Return the UTF-8 text at ``url``.

    Raises:
        DataNotFoundError: the address cannot be reached; names it.
        InputError: the address is none of http, https or file.
    """
    if urlsplit(url).scheme not in _SCHEMES:
        raise InputError(f"{url} is no http, https or file address.")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - scheme checked above
            body: bytes = response.read()
        return body.decode("utf-8")
    except (urllib.error.URLError, OSError, ValueError) as exc:
        raise DataNotFoundError(_unreachable(url, exc)) from exc


def _unreachable(url: str, exc: BaseException) -> str:
    reason = getattr(exc, "reason", None) or exc
    return f"{url} cannot be reached ({str(reason).rstrip('.')}): check the connection and try again."


def _transfer(url: str, part: Path, what: str, progress: Listener) -> None:
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)  # noqa: S310 - scheme checked by the caller
    if start and urlsplit(url).scheme != "file":
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 - scheme checked by the caller
    except urllib.error.HTTPError as exc:
        if exc.code != 416:  # the range cannot be given: the part is already whole, or too long
            raise
        part.unlink()
        response = urllib.request.urlopen(url, timeout=TIMEOUT)  # noqa: S310 - scheme checked by the caller
    with response:
        resumed = getattr(response, "status", None) == 206
        done = start if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else 0
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                done += len(chunk)
                fraction = done / total if total else None
                progress(Step(what=f"downloading {what}", done=done, total=total, fraction=fraction))
    if total and done != total:
        raise OSError(f"the connection broke after {done} of {total} bytes")
