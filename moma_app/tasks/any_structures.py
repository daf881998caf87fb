"""Structures in whatever form a notebook has them: objects of pymatgen or ASE, paths, or text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from moma_app.errors import InputError, StructureRefusedError
from moma_app.structures import Crystal, StructureSet, several
from moma_app.tasks.parsing import Parsed, StructureError, parse_structure
from moma_app.tasks.readers import UserFile
from moma_app.tasks.structure_files import NamedStructure, read_structure_files, structure_paths


def parse_any(given: Any) -> Parsed:
    """Return one structure.

    Args:
        given: a pymatgen ``Structure`` or ``Molecule``, an ASE ``Atoms``, a ``Crystal``, the path of a CIF,
            POSCAR, pymatgen JSON or xyz file with one structure, the text of such a file, or pymatgen's dictionary.

    Raises:
        StructureError: it is none of these, or not one usable structure.
    """
    if given is None or isinstance(given, float):  # how a data frame writes what is missing
        raise StructureError("unparsable", "no structure given")
    if isinstance(given, Mapping):
        return parse_structure(given)
    if (path := path_of(given)) is not None:
        (found,) = _of_file(path, most=1)
        return Parsed(found.crystal, warnings=(found.note,) if found.note else ())
    if isinstance(given, str):
        return parse_structure(given)
    try:
        crystal = Crystal.from_any(given)
    except InputError as exc:
        raise StructureError("unparsable", str(exc).rstrip(".")) from exc
    return Parsed(crystal, molecule=_is_molecule(given))


def structures_of(given: Any) -> StructureSet:
    """Return structures, each as :func:`parse_any` takes it; a single one is a list of one.

    Raises:
        StructureRefusedError: one of them cannot be used; it names its position.
    """
    if isinstance(given, StructureSet):
        return given
    crystals = []
    for position, each in enumerate(several(given)):
        try:
            crystals.append(parse_any(each).crystal)
        except StructureError as exc:
            raise StructureRefusedError(position, str(exc)) from exc
    return StructureSet.from_any(crystals)


def named_structures(given: Any, labels: Iterable[Any] | None = None) -> list[NamedStructure]:
    """Return structures with what they are called.

    Args:
        given: structures as :func:`parse_any` takes them, or one; also folders and files with several.
        labels: what each is called; by default the file's name, the index of a pandas Series, or the
            position from 0. With labels, each item must be one structure.

    Raises:
        StructureRefusedError: one of them cannot be used; it names its position.
        InputError: there are not as many labels as structures.
    """
    items = list(several(given))
    names = labels_of(given, items) if labels is None else [str(label) for label in labels]
    if len(names) != len(items):
        raise InputError(f"{len(names)} labels were given for {len(items)} structures.")
    found: list[NamedStructure] = []
    for position, (item, name) in enumerate(zip(items, names, strict=True)):
        path = path_of(item)
        try:
            if labels is None and path is not None:
                found += _of_file(path)
            else:
                found.append(NamedStructure(name, parse_any(item).crystal))
        except InputError as exc:
            raise StructureRefusedError(position, str(exc)) from exc
    return found


def labels_of(given: Any, items: Sequence[Any]) -> list[str]:
    """Return the index of a pandas Series, or the items' positions from 0, as text."""
    index = given.index if hasattr(given, "iloc") else range(len(items))
    return [str(label) for label in index]


def path_of(given: Any) -> Path | None:
    """Return the path that is meant, or ``None``: a text of one line that is not JSON is one."""
    if isinstance(given, str) and given.strip() and "\n" not in given and not given.lstrip().startswith("{"):
        return Path(given).expanduser()
    return Path(fspath(given)).expanduser() if isinstance(given, PathLike) else None


def _of_file(path: Path, most: int | None = None) -> list[NamedStructure]:
    """Return the structures of a file or folder."""
    try:
        paths = structure_paths([path])
    except InputError as exc:
        raise StructureError("unparsable", str(exc).rstrip(".")) from exc
    good, bad = read_structure_files([UserFile(each, each.name) for each in paths])
    if bad:
        raise StructureError("unparsable", f"{bad[0].label}: {bad[0].reason.rstrip('.')}")
    if most is not None and len(good) != most:
        raise StructureError("unparsable", f"{path.name} holds {len(good)} structures, one is expected")
    return good


def _is_molecule(given: Any) -> bool:
    if hasattr(given, "species_and_occu"):
        return not hasattr(given, "lattice")
    return hasattr(given, "get_atomic_numbers") and not any(given.pbc)
