"""A hub that lives: modules get new versions, the manifest keeps what they replace, releases name the whole.

Whoever publishes or removes a module holds the lock of the manifest, from reading the old card to
writing the new one. The manifest is written before the card: a process that is killed between the two
leaves a record too many, which the next publication puts right, never one too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.files import lock_for
from moma_app.hub.card import NAME_PATTERN, Card, read_card
from moma_app.hub.changes import FieldChange, changes_between, described, part_of
from moma_app.hub.manifest import FILE, Entry, Manifest, Superseded, read_manifest, write_manifest
from moma_app.hub.versions import FIRST, PARTS, Part, Version, is_version

LENGTH_OF_WHY = 500
"""Characters of a reason that are kept; a changed recipe can have many fields."""


@contextmanager
def publishing(folder: Path, card: Card, *, why: str = "") -> Iterator[Card]:
    """Yield a module's card with the version that it gets in a hub; the block publishes it.

    The hub's manifest, if it has one, notes the module and the one that it supersedes. If the block
    raises, the manifest stays as it was.

    Args:
        folder: of the hub.
        card: of the module to publish, with the SHA-256 of its file.
        why: reason for the new version; by default what differs between the cards.

    Raises:
        IncompatibleError: the hub has a module of that name and another backbone.
        DamagedFileError: the manifest cannot be read.
    """
    with lock_for(folder / FILE):
        manifest = read_manifest(folder)
        old = _card_or_none(folder / f"{card.name}.json")
        if old is not None:
            check_same_backbone(old, card, folder)
        changes = () if old is None else changes_between(old, card)
        card = card.model_copy(update={"version": _next_version(old, card, changes, manifest)})
        changed = manifest and _with_module(manifest, old, card, changes, why)
        with _written(folder, manifest, changed):
            yield card


def check_same_backbone(old: Card, new: Card, folder: Path) -> None:
    """Refuse a module in the place of one of another backbone.

    Raises:
        IncompatibleError: the backbones differ.
    """
    if old.backbone != new.backbone:
        raise IncompatibleError(
            f"The hub {folder} has a module {new.name!r} of backbone {old.backbone}, this one is of "
            f"{new.backbone}: another backbone is another module, give it another name."
        )


@contextmanager
def removing(folder: Path, name: str, *, why: str = "") -> Iterator[None]:
    """Note in the hub's manifest, if it has one, that the module is gone; the block removes it.

    Raises:
        DamagedFileError: the manifest cannot be read.
    """
    with lock_for(folder / FILE):
        manifest = read_manifest(folder)
        changed = manifest
        if manifest is not None:
            old = _card_or_none(folder / f"{name}.json")
            entries = {key: entry for key, entry in manifest.modules.items() if key != name}
            record = _record(name, old, manifest.modules.get(name), superseded_by="", why=why)
            changed = _changed(manifest, entries, [record] if record else [], "major")
        with _written(folder, manifest, changed):
            yield


def release(
    folder: Path, version: str | None = None, *, name: str | None = None, summary: str | None = None
) -> Manifest:
    """Write a hub's manifest from its cards, with the version that names this content.

    Without a version, a first manifest gets 1.0.0, and a later one counts up if the cards are not those
    of the manifest: the first number if a module is gone, the second if one was added or trained anew.

    Args:
        folder: of the hub.
        version: semantic version, above that of the manifest.
        name: of the hub; by default as it was, or the folder's.
        summary: a sentence; by default as it was.

    Raises:
        InputError: the hub has no module, or the name or version cannot be used.
        DamagedFileError: a card or the manifest cannot be read.
    """
    with lock_for(folder / FILE):
        cards = [read_card(path) for path in sorted(folder.glob("*.json"))]
        if not cards:
            raise InputError(f"{folder} has no module: there is nothing to release.")
        entries = {card.name: Entry.of(card) for card in cards}
        old = read_manifest(folder)
        before = old or Manifest(name=_name_for(folder), version=FIRST, modules=entries)
        gone = [
            record
            for key, entry in before.modules.items()
            if entries.get(key) != entry
            and (record := _record(key, None, entry, superseded_by=_version_of(entries.get(key)), why=""))
        ]
        manifest = _changed(before, entries, gone, _part_between(before.modules, entries))
        if version is not None:
            _check_above(version, old, manifest)
            manifest = manifest.model_copy(update={"version": version})
        if name is not None and not NAME_PATTERN.fullmatch(name):
            raise InputError(f"A hub cannot be called {name!r}: letters, digits, '_', '-' and '.' only.")
        told = {"name": name, "summary": summary}
        manifest = manifest.model_copy(
            update={key: value for key, value in told.items() if value is not None}
        )
        write_manifest(folder, manifest)
        return manifest


def disagreements(folder: Path) -> list[str]:
    """Return in which points a hub's manifest is not what its cards say; empty without a manifest.

    Raises:
        DamagedFileError: the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return []
    found = []
    cards = {path.stem: _card_or_none(path) for path in folder.glob("*.json")}
    for name in sorted({*manifest.modules, *cards}):
        entry, card = manifest.modules.get(name), cards.get(name)
        if name in cards and card is None:
            continue  # a damaged card is told of as such
        if entry is None and card is not None:
            found.append(f"{name} {card.version} is not in it")
        elif entry is not None and card is None:
            found.append(f"{name} {entry.version} is in it, but has no card")
        elif entry is not None and card is not None and Entry.of(card) != entry:
            found.append(
                f"it has {name} {entry.version} ({entry.sha256[:12]}…), but the card says "
                f"{card.version} ({card.sha256[:12]}…)"
            )
    return [f"The manifest {folder / FILE} is behind: {each}. Run moma hub release." for each in found]


# -- inside ----------------------------------------------------------------------------------------


def _card_or_none(path: Path) -> Card | None:
    try:
        return read_card(path)
    except DamagedFileError:
        return None


@contextmanager
def _written(folder: Path, before: Manifest | None, after: Manifest | None) -> Iterator[None]:
    """Have the new manifest in place during the block, and the old one again if it raises."""
    if before is None or after is None or before == after:
        yield
        return
    write_manifest(folder, after)
    try:
        yield
    except BaseException:
        write_manifest(folder, before)
        raise


def _next_version(
    old: Card | None, new: Card, changes: tuple[FieldChange, ...], manifest: Manifest | None
) -> str:
    """Return the version that a module gets: its own, if that is above all that the hub has had of it."""
    had: list[Card | Entry | Superseded] = [old] if old is not None else []
    if manifest is not None:
        had += [each for each in manifest.superseded if each.name == new.name]
        if old is None and new.name in manifest.modules:
            had.append(manifest.modules[new.name])  # of a damaged card the manifest knows the version
    if not had or (old is None and any(Entry.of(new) == _identity(each) for each in had)):
        return new.version  # new, or one that was removed comes back
    highest = max(_parsed(each.version) for each in had)
    if is_version(new.version) and Version(new.version) > highest:
        return new.version
    part = part_of(changes) if old is not None else "minor"
    if part is None and old is not None:  # the same module again
        return old.version
    return str(highest.bumped(part or "minor"))


def _identity(module: Card | Entry | Superseded) -> Entry:
    return Entry(version=module.version, sha256=module.sha256)


def _parsed(version: str) -> Version:
    """Return a version; a card written by hand may have one that is none, and counts as the first."""
    return Version(version if is_version(version) else FIRST)


def _with_module(
    manifest: Manifest, old: Card | None, new: Card, changes: tuple[FieldChange, ...], why: str
) -> Manifest:
    entry, known = Entry.of(new), manifest.modules.get(new.name)
    part: Part | None = "minor" if old is None else part_of(changes)
    why = why or described(changes)[:LENGTH_OF_WHY]
    record = _record(new.name, old, known, superseded_by=new.version, why=why) if part else None
    records = [record] if record else []
    if part is None and manifest.modules.get(new.name) != entry:
        part = "patch"  # the same module under a higher number, or the manifest was behind
    return _changed(manifest, {**manifest.modules, new.name: entry}, records, part)


def _record(
    name: str, card: Card | None, entry: Entry | None, *, superseded_by: str, why: str
) -> Superseded | None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if card is not None:
        return Superseded.of(card, superseded_by=superseded_by, when=now, why=why)
    if entry is None:
        return None
    return Superseded(
        name=name,
        version=entry.version,
        sha256=entry.sha256,
        superseded_by=superseded_by,
        when=now,
        why=why or "replaced without the manifest; its card is not known",
    )


def _changed(
    manifest: Manifest,
    entries: Mapping[str, Entry],
    records: Iterable[Superseded],
    part: Part | None,
) -> Manifest:
    """Return the manifest with other modules, records added to, and the version counted up."""
    kept = {each.identity(): each for each in manifest.superseded}
    for each in records:
        known = kept.get(each.identity())
        if known is None or each.backbone:  # what a card said is not replaced by less
            kept[each.identity()] = each
    here = {(name, entry.version, entry.sha256) for name, entry in entries.items()}
    return manifest.model_copy(
        update={
            "modules": dict(entries),
            "superseded": tuple(each for identity, each in kept.items() if identity not in here),
            "version": str(manifest.parsed_version().bumped(part)) if part else manifest.version,
        }
    )


def _part_between(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Part | None:
    """Return which part of the hub's version counts up between two sets of modules."""
    if before.keys() - after.keys():
        return "major"
    parts: list[Part] = ["minor"] if after.keys() - before.keys() else []
    for name, entry in before.items():
        if after[name] != entry:
            parts.append(_step(entry.version, after[name].version))
    return max(parts, key=PARTS.index, default=None)


def _step(old: str, new: str) -> Part:
    """Return the first number in which two versions differ; a module replaced under its old version is a new one."""
    first, second = _parsed(old), _parsed(new)
    if first.numbers[0] != second.numbers[0]:
        return "major"
    return "patch" if first.numbers[:2] == second.numbers[:2] and first != second else "minor"


def _version_of(entry: Entry | None) -> str:
    return "" if entry is None else entry.version


def _name_for(folder: Path) -> str:
    name = folder.resolve().name
    return name if NAME_PATTERN.fullmatch(name) else "hub"


def _check_above(version: str, old: Manifest | None, now: Manifest) -> None:
    wanted = Version(version)
    if old is None or wanted > old.parsed_version():
        return
    if wanted == old.parsed_version() and old.modules == now.modules:
        return  # only name or summary change
    raise InputError(
        f"The hub is at version {old.version}: {version} is not above it, and a version names one content only."
    )
