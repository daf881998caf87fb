"""A hub: a folder of modules, each a card (JSON) and a tensor file (safetensors)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from moma_app.errors import DamagedFileError, InputError, UnknownNameError
from moma_app.files import lock_for
from moma_app.hub.card import Card, read_card, summary_of
from moma_app.hub.module import HASH_GLOB, Module
from moma_app.hub.places import BUILTIN, existing_place
from moma_app.text import brief, count, shorten

if TYPE_CHECKING:
    import pandas as pd

    from moma_app.hub.manifest import Manifest, Superseded


@dataclass(frozen=True)
class Damage:
    """A module that cannot be used, and why."""

    name: str
    reason: str


class UnknownModuleError(UnknownNameError, KeyError):
    """A name that is in no folder of the hub; a ``KeyError`` too, as of any mapping."""

    __str__ = Exception.__str__


class Hub(Mapping[str, Module]):
    """Modules by name. Reading lists cards only; tensors are read when a module is used.

    Args:
        folders: searched in this order; a name in an earlier folder hides a later one. The
            first folder is the one that modules are added to.
    """

    def __init__(self, *folders: Path) -> None:
        if not folders:
            raise InputError("A hub needs a folder.")
        self.folders = folders

    @classmethod
    def open(cls, where: str | Path | None = None) -> Hub:
        """Open a hub.

        Args:
            where: ``"builtin"``, the name of a hub, a folder, or ``None`` for the user's hub and the
                built-in one together.

        Raises:
            InputError: there is no such hub.
        """
        from moma_app.config import get_settings

        if where is None:
            return cls(get_settings().hub_folder, BUILTIN)
        return cls(existing_place(where))

    def _card_paths(self) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for folder in self.folders:
            for path in sorted(folder.glob("*.json")):
                paths.setdefault(path.stem, path)
        return dict(sorted(paths.items()))

    def __len__(self) -> int:
        return len(self._card_paths())

    def __iter__(self) -> Iterator[str]:
        return iter(self._card_paths())

    def __getitem__(self, name: str) -> Module:
        """Return a module; its file is not read yet.

        Raises:
            UnknownModuleError: no module of that name.
            DamagedFileError: its card cannot be read.
        """
        paths = self._card_paths()
        if name not in paths:
            raise UnknownModuleError("module", name, paths, hint="See moma hub list.")
        return _module_of(paths[name])

    @property
    def manifest(self) -> Manifest | None:
        """What the hub says of itself: the manifest of its first folder that has one.

        Raises:
            DamagedFileError: it cannot be read.
        """
        return next(iter(self.manifests().values()), None)

    @property
    def version(self) -> str | None:
        """Semantic version of :attr:`manifest`; ``None`` for a hub without one."""
        manifest = self.manifest
        return None if manifest is None else manifest.version

    def manifests(self) -> dict[Path, Manifest]:
        """Return the manifests of all folders that have one, in the order in which they are searched.

        Raises:
            DamagedFileError: one cannot be read.
        """
        from moma_app.hub.manifest import read_manifest

        found = ((folder, read_manifest(folder)) for folder in self.folders)
        return {folder: manifest for folder, manifest in found if manifest is not None}

    def release(
        self, version: str | None = None, *, name: str | None = None, summary: str | None = None
    ) -> Manifest:
        """Write the manifest of the hub's first folder, see :func:`moma_app.hub.releases.release`."""
        from moma_app.hub.releases import release

        with self._writing() as folder:
            return release(folder, version, name=name, summary=summary)

    def find(self, which: str) -> Card | Superseded:
        """Return what is known of a module that the hub has or had, see :func:`moma_app.hub.lookup.find`."""
        from moma_app.hub.lookup import find

        return find(self, which)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        folders = " and ".join(shorten(str(folder), 60) for folder in self.folders[:2])
        return brief(self, f"of {count(len(self), 'module')} in {folders}")

    def _repr_html_(self) -> str:
        from moma_app.hub.display import hub_html

        return hub_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each module, with its error in ``unit``; a damaged one has only name and ``problem``."""
        import pandas as pd

        usable, damaged = self.check(files=False)
        rows = [
            {**summary_of(module.card), "rows_test": module.card.data.rows_test, "problem": ""}
            for module in usable
        ]
        return pd.DataFrame([*rows, *({"name": bad.name, "problem": bad.reason} for bad in damaged)])

    def cards(self) -> list[Card]:
        """Return the cards of all modules that can be read, by name."""
        usable, _ = self.check(files=False)
        return [module.card for module in usable]

    def check(self, *, files: bool = True) -> tuple[list[Module], list[Damage]]:
        """Return the usable modules, and the damaged ones with the reason.

        Args:
            files: also compare every tensor file with its SHA-256.
        """
        usable, damaged = [], []
        for name, path in self._card_paths().items():
            try:
                usable.append(_verified(path) if files else _module_of(path))
            except DamagedFileError as exc:
                if path.exists():  # else another process removed it since it was listed
                    damaged.append(Damage(name, str(exc)))
        return usable, damaged

    def add(self, module: Module, *, overwrite: bool = False, why: str = "") -> Module:
        """Publish a module in the hub's first folder, atomically, and return the stored one.

        A module that takes the place of another gets a version above that one's, see
        :mod:`moma_app.hub.changes`, and the hub's manifest, if it has one, keeps what the other was.

        Args:
            module: what to publish.
            overwrite: supersede a module of the same name.
            why: reason for the new version; by default what differs between the cards.

        Raises:
            InputError: the name is taken and ``overwrite`` is off, or the folder is not writable.
            IncompatibleError: the name is that of a module of another backbone.
            DamagedFileError: the module's own file does not agree with its card, or the manifest
                cannot be read.
        """
        from moma_app.hub.releases import publishing

        with self._writing() as folder:
            return module.save(
                folder, overwrite=overwrite, revise=lambda card: publishing(folder, card, why=why)
            )

    def put(self, module: Module, *, overwrite: bool = False) -> Module:
        """Copy a module as it is into the hub's first folder: its version stays, no manifest is told.

        For folders of copies; :meth:`add` is how a hub gets a module.

        Raises:
            InputError, DamagedFileError: as :meth:`add`.
        """
        with self._writing() as folder:
            return module.save(folder, overwrite=overwrite)

    def remove(self, name: str, *, why: str = "") -> None:
        """Delete a module from the hub's first folder; the manifest, if there is one, keeps what it was.

        Raises:
            UnknownModuleError: no module of that name.
            InputError: the module lies in another, read-only folder of the hub.
        """
        paths = self._card_paths()
        if name not in paths:
            raise UnknownModuleError("module", name, paths)
        path = paths[name]
        if path.parent != self.folders[0]:
            raise InputError(f"Module {name!r} belongs to {path.parent}, which is read only here.")
        from moma_app.hub.releases import removing

        with self._writing() as folder, lock_for(path), removing(folder, name, why=why):
            path.unlink(missing_ok=True)  # without its card the module is gone, whatever happens next
            for tensors in path.parent.glob(f"{name}-{HASH_GLOB}.safetensors"):
                tensors.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        folder = self.folders[0]
        try:
            yield folder
        except (OSError, SafetensorError) as exc:  # SafetensorError: the disk is full, for one
            raise InputError(
                f"The hub {folder} cannot be written to ({getattr(exc, 'strerror', None) or exc})."
            ) from exc

    def select(self, names: list[str] | None = None, kind: str | None = None) -> list[Module]:
        """Return modules by name (all by default) and kind, damaged ones included in an error.

        Raises:
            UnknownModuleError: a name is not in the hub.
            DamagedFileError: a named module cannot be read.
        """
        if names is not None:
            chosen = [self[name] for name in names]
        else:
            chosen, _ = self.check(files=False)
        return [module for module in chosen if kind is None or module.card.kind == kind]


def _module_of(card_path: Path) -> Module:
    card = read_card(card_path)
    if card.name != card_path.stem:
        raise DamagedFileError(f"The card {card_path} is that of {card.name!r}: its file was renamed.")
    return Module(card, card_path.parent / card.file)


def _verified(card_path: Path) -> Module:
    module = _module_of(card_path)
    try:
        module.verify()
    except DamagedFileError:
        newer = _module_of(card_path)
        if newer.card == module.card:
            raise
        newer.verify()  # another process replaced the module since its card was read
        return newer
    return module


def read_module_file(path: Path) -> Module:
    """Open an exported module: a tensor file with its card (same stem, ``.json``) beside it.

    Raises:
        InputError: the file or its card is missing.
        DamagedFileError: card and file do not agree.
    """
    card_path = path if path.suffix == ".json" else _card_beside(path)
    if not card_path.is_file():
        raise InputError(f"{path} has no card: expected the file {card_path.name} beside it.")
    card = read_card(card_path)
    module = Module(card, card_path.parent / card.file if path == card_path else path)
    module.verify()
    return module


def _card_beside(path: Path) -> Path:
    """Return the card of ``NAME-<hash>.safetensors`` or ``NAME.safetensors``."""
    stem = path.stem
    plain = path.with_name(f"{stem}.json")
    return plain if plain.exists() or "-" not in stem else path.with_name(f"{stem.rpartition('-')[0]}.json")
