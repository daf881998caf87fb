"""Modules that come and go: uploaded files, downloads, other hubs. Files are known by content, not by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dashboards.components.download import small_enough, zipped
from dashboards.parts.hub_content import open_hub
from moma_app.config import get_settings
from moma_app.errors import InputError
from moma_app.files import sha256_of_file
from moma_app.hub.hub import Hub
from moma_app.hub.places import comes_with_moma

if TYPE_CHECKING:
    from dashboards.uploads import Upload
    from moma_app.hub.card import Card
    from moma_app.hub.module import Module

SUFFIXES = (".json", ".safetensors", ".zip")


def destination(where: str) -> Hub:
    """Return the hub that modules are added to when a page shows the hub at an address: those of the package never."""
    hub = open_hub(where)
    return Hub(get_settings().hub_folder) if comes_with_moma(hub.folders[0]) else hub


def add_uploads(hub: Hub, uploads: Sequence[Upload], *, overwrite: bool) -> list[str]:
    """Add modules whose cards and tensor files were uploaded, each by itself or in zip files; returns their names.

    A card finds its tensors by their SHA-256. Either all modules are sound, or none is added.

    Raises:
        InputError: a card or a tensor file is missing, a file is none of a module's, or a name is taken.
        DamagedFileError: a card cannot be read, or a file is no safetensors file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        modules = list(_modules(uploads, Path(scratch)))
        for module in modules:
            module.verify()
            if not overwrite and (hub.folders[0] / f"{module.name}.json").exists():
                raise InputError(
                    f"The hub {hub.folders[0]} already has a module {module.name!r}: allow replacing it."
                )
        return [hub.add(module, overwrite=overwrite).name for module in modules]


def _modules(uploads: Sequence[Upload], scratch: Path) -> Iterator[Module]:
    from moma_app.hub.module import Module

    cards: list[Card] = []
    tensors: dict[str, Path] = {}
    for name, path in _unpacked(uploads, scratch):
        if path.suffix == ".json":
            cards.append(_card(name, path))
        else:
            tensors[sha256_of_file(path)] = path
    if not cards:
        raise InputError(
            "None of these files is a module's card (.json): give it together with the tensor file."
        )
    for card in cards:
        if card.sha256 not in tensors:
            raise InputError(
                f"The tensors of module {card.name!r} are missing: none of the files has the SHA-256 of its card "
                f"({card.sha256[:12]}…). Give {card.file or 'the .safetensors file'} too."
            )
        yield Module(card, tensors[card.sha256])


def _unpacked(uploads: Sequence[Upload], scratch: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file under what the user calls it, and where it lies under a name of our own."""
    from moma_app.tasks.archives import Archive
    from moma_app.tasks.limits import Limits

    for number, upload in enumerate(uploads):
        if upload.path.suffix not in SUFFIXES:
            raise InputError(f"{upload.name} is no file of a module: give .json, .safetensors or .zip files.")
        if upload.path.suffix != ".zip":
            yield upload.name, upload.path
            continue
        with Archive(upload.path, Limits(), upload.name) as archive:
            for index, name in enumerate(archive.names):
                suffix = Path(name).suffix.lower()
                if suffix in (".json", ".safetensors"):
                    path = scratch / f"{number}-{index}{suffix}"
                    path.write_bytes(archive.data(name))
                    yield f"{name} in {upload.name}", path


def _card(name: str, path: Path) -> Card:
    from moma_app.errors import DamagedFileError
    from moma_app.hub.card import parse_card

    try:
        return parse_card(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError as exc:
        raise DamagedFileError(f"The card {name} cannot be read ({exc}).") from exc


def exported(hub: Hub, name: str) -> bytes:
    """Return a module's card and tensor file as a zip file.

    Raises:
        DamagedFileError: the file does not agree with its card.
        InputError: it is too large for a page.
    """
    module = hub[name]
    small_enough(module.card.size, f"moma hub export {name} FOLDER copies it")
    module.verify()
    assert module.path is not None
    return zipped({f"{name}.json": module.path.parent / f"{name}.json", module.path.name: module.path})


def named(text: str) -> list[str] | None:
    """Return names that somebody wrote with commas or spaces between them; ``None`` for none, which means all."""
    return text.replace(",", " ").split() or None
