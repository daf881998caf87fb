"""Which module was it: by name and version, or by the SHA-256 that a result names, also when it is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moma_app.errors import DamagedFileError, InputError, UnknownNameError
from moma_app.hub.card import Card, read_card
from moma_app.hub.hub import Hub, UnknownModuleError
from moma_app.hub.manifest import Superseded

LEAST = 6
"""Digits from which on a hash is taken for one."""
_HASH = re.compile(rf"[0-9a-f]{{{LEAST},64}}")


def find(hub: Hub, which: str) -> Card | Superseded:
    """Return the card of a module, or what the manifest kept of one that was superseded or removed.

    Args:
        hub: where to look; in all of its folders, a module that another hides included.
        which: ``NAME``, ``NAME@VERSION``, ``NAME@HASH`` or ``HASH``, the beginning of the SHA-256 of
            a tensor file, of at least six digits.

    Raises:
        UnknownNameError: the hub has no such module, and its manifests know none.
        InputError: the beginning of a hash, or a version, is that of several.
        DamagedFileError: the module's card, or a manifest, cannot be read.
    """
    name, at, mark = which.partition("@")
    if not at and (name in hub or not _HASH.fullmatch(name)):
        return hub[name].card
    if not at:
        name, mark = "", which
    known = [each for each in _all(hub) if name in ("", each.name)]
    if name and not known:
        raise UnknownModuleError("module", name, hub, hint="See moma hub list.")
    found = [
        each
        for each in known
        if (name and each.version == mark) or (_HASH.fullmatch(mark) and each.sha256.startswith(mark))
    ]
    if not found:
        what = f"version of module {name!r}" if name else "module with the SHA-256"
        marks = (each.version if name else each.sha256[:12] for each in known)
        raise UnknownNameError(what, mark, dict.fromkeys(marks))
    current = [each for each in found if isinstance(each, Card)]
    if len({each.sha256 for each in found}) > 1:
        names = " or ".join(dict.fromkeys(f"{each.name}@{each.sha256[:12]}" for each in found))
        raise InputError(f"{which!r} may mean several modules: say {names}.")
    return (current or found)[0]


def _all(hub: Hub) -> Iterator[Card | Superseded]:
    """Yield the cards of all folders, then the records of their manifests, the latest first."""
    for folder in hub.folders:
        for path in sorted(folder.glob("*.json")):
            try:
                yield read_card(path)
            except DamagedFileError:
                continue  # moma hub verify tells of it
    for manifest in hub.manifests().values():
        yield from reversed(manifest.superseded)
