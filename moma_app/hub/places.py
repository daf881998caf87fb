"""Where hubs lie: the user's own, those that come with the package, others by name, any folder.

A named hub is a folder under ``hubs/`` of the home folder: modules of somebody else, kept apart from
the user's own. Needs no PyTorch.
"""

from __future__ import annotations

from pathlib import Path

from moma_app.errors import InputError, UnknownNameError
from moma_app.hub.card import NAME_PATTERN

BUILTIN = Path(__file__).parent / "builtin"
PACKAGED = {"builtin": BUILTIN, "clean": Path(__file__).parent / "clean"}
"""Folders of the hubs that come with the package, by name; they stay as they are."""


def comes_with_moma(folder: Path) -> bool:
    """Tell whether a folder is that of a hub of the package."""
    return folder in PACKAGED.values()


def on_every_machine(where: str | Path | None) -> bool:
    """Tell whether an address means a hub of the package, alone or with the user's: workers have it too."""
    return where is None or str(where) in PACKAGED


def named_hubs() -> dict[str, Path]:
    """Return the folders of the hubs that have a name on this machine, by name."""
    from moma_app.config import get_settings

    folder = get_settings().hubs_folder
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path for path in found if path.is_dir() and NAME_PATTERN.fullmatch(path.name)}


def named_place(name: str) -> Path:
    """Return the folder of the hub of that name, which need not exist."""
    from moma_app.config import get_settings

    return get_settings().hubs_folder / name


def place_of(where: str | Path) -> Path:
    """Return the folder that an address means; it need not exist.

    Args:
        where: ``builtin``, ``clean``, the name of a hub, or a folder. A plain word means the hub of that
            name, if there is one, then the folder; ``./word`` is always the folder.

    Returns:
        An absolute path. A plain word that is neither a hub nor a folder yet is the place of the
        hub of that name.
    """
    if str(where) in PACKAGED:
        return PACKAGED[str(where)]
    folder = Path(where).expanduser().absolute()
    if not _is_name(where):
        return folder
    named = named_place(str(where))
    return named if named.is_dir() or not folder.is_dir() else folder


def writable_place(where: str | None, default: Path) -> Path:
    """Return the folder that modules are added to; ``None`` means ``default``.

    Raises:
        InputError: a hub of the package is meant.
    """
    if where is None:
        return default
    if where in PACKAGED:
        raise InputError(
            f"The hub {where} comes with MoMa and stays as it is: name another hub, or a folder."
        )
    return place_of(where)


def existing_place(where: str | Path) -> Path:
    """Return the folder that an address means.

    Raises:
        InputError: there is no hub of that name, and no such folder.
    """
    folder = place_of(where)
    if folder.is_dir():
        return folder
    if _is_name(where):
        raise UnknownNameError("hub", str(where), (*PACKAGED, *named_hubs()), "A hub's folder works too.")
    raise InputError(f"There is no hub at {Path(where).expanduser()}: that folder does not exist.")


def _is_name(where: str | Path) -> bool:
    return isinstance(where, str) and NAME_PATTERN.fullmatch(where) is not None
