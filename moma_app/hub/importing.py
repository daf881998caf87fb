"""Hubs made of what others have trained: each source is a function that reads a folder as modules.

An import is all or nothing: a source checks every file before it returns, and nothing is written
until then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from moma_app.errors import InputError, UnknownNameError
from moma_app.hub.hub import Hub
from moma_app.hub.places import named_place, writable_place
from moma_app.hub.releases import check_same_backbone

if TYPE_CHECKING:
    from moma_app.hub.card import Target
    from moma_app.hub.module import Module

    TargetOf = Callable[[str], Target]
    """Gives what is known of a task's target, by the task's name."""


@dataclass(frozen=True)
class Source:
    """Modules that somebody else has trained.

    Attributes:
        name: as the command has it, and by default the name of the hub.
        summary: what it is, in one sentence.
        read: reads a folder; it returns sound modules in memory, or raises a ``MomaError``.
    """

    name: str
    summary: str
    read: Callable[[Path, TargetOf], list[Module]]


def _moe18(folder: Path, target_of: TargetOf) -> list[Module]:
    from moma_app.hub.moe18 import read_moe18

    return read_moe18(folder, target_of)


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            Source(
                "moe18",
                "The 18 CGCNN extractors of Chang et al., npj Comput. Mater. 8, 242 (2022): a folder of "
                "safetensors files with index.json.",
                _moe18,
            ),
        )
    }
)
"""All sources, by name."""


def import_hub(
    source: str, folder: Path, target_of: TargetOf, *, hub: str | None = None, overwrite: bool = False
) -> tuple[Path, list[Module]]:
    """Read a folder of a source's files and add its modules to a hub, all of them or none.

    Args:
        source: name of the source.
        folder: where its files lie.
        target_of: gives what is known of a task's target.
        hub: name or folder of the hub; by default the hub of the source's name.
        overwrite: replace modules of the same name.

    Returns:
        The hub's folder, and the modules in it.

    Raises:
        UnknownNameError: there is no such source.
        InputError: the folder is not of this source, a module's name is taken, or the hub cannot be
            written to.
        DamagedFileError, IncompatibleError: a file is not what it should be.
    """
    if source not in SOURCES:
        raise UnknownNameError("source", source, SOURCES)
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}: give the one that holds the files of {source}.")
    destination = writable_place(hub, named_place(source))
    modules = SOURCES[source].read(folder, target_of)
    present = set(Hub(destination))
    taken = [module.name for module in modules if module.name in present]
    if taken and not overwrite:
        raise InputError(
            f"The hub {destination} already has {', '.join(taken[:3])}{' and more' if len(taken) > 3 else ''}: "
            "name another with --hub, or give --overwrite."
        )
    new = {module.name: module.card for module in modules}
    for card in Hub(destination).cards():  # before anything is replaced
        if card.name in new:
            check_same_backbone(card, new[card.name], destination)
    try:
        return destination, _publish(modules, destination)
    except OSError as exc:
        raise InputError(f"The hub {destination} cannot be written to ({exc.strerror or exc}).") from exc


def _publish(modules: list[Module], destination: Path) -> list[Module]:
    """Write all modules beside the hub first; a hub that does not exist yet appears in one step."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as scratch:
        staged = Hub(Path(scratch) / "hub")
        for module in modules:
            staged.add(module)
        if not destination.exists():
            staged.folders[0].rename(destination)
        else:
            _add_all(Hub(destination), staged)
    hub = Hub(destination)
    return [hub[module.name] for module in modules]


def _add_all(hub: Hub, staged: Hub) -> None:
    """Add modules to a hub that has others; if one cannot be written, those that are new go again."""
    before = set(hub)
    try:
        for module in staged.values():
            hub.add(module, overwrite=True)
    except BaseException:
        for name in set(staged) & set(hub) - before:
            hub.remove(name)
        raise
