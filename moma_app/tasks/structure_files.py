"""Structures from files and folders, for prediction: no targets, no table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from moma_app.errors import InputError
from moma_app.structures import Crystal
from moma_app.tasks.ase_files import extxyz_rows
from moma_app.tasks.parsing import Parsed, parse_structure
from moma_app.tasks.validation import check_structure

MAX_BYTES = 200 * 2**20
"""A larger file is no structure file."""
FRAMES = (".xyz", ".extxyz")
KNOWN = (".cif", ".vasp", ".poscar", ".contcar", ".json", *FRAMES)


@dataclass(frozen=True)
class NamedStructure:
    """A structure and where it came from.

    Attributes:
        label: the file's name, with the frame's number where a file has several.
        path: the file.
        crystal: the structure.
        note: how it was read, if that needs saying.
    """

    label: str
    path: Path
    crystal: Crystal
    note: str = ""


@dataclass(frozen=True)
class BadFile:
    """A file, or a frame of one, that gives no usable structure."""

    label: str
    reason: str


def read_structure_files(paths: Iterable[Path]) -> tuple[list[NamedStructure], list[BadFile]]:
    """Read CIF, POSCAR, pymatgen JSON and (ext)xyz files; a folder stands for the files in it.

    Returns:
        The usable structures in the order of the files, and the unusable files with the reason.

    Raises:
        InputError: a path does not exist, or a folder holds no structure file.
    """
    good: list[NamedStructure] = []
    bad: list[BadFile] = []
    for path in _expand(paths):
        try:
            for structure in _read(path):
                if isinstance(structure, BadFile):
                    bad.append(structure)
                    continue
                try:
                    check_structure(structure.crystal)
                except InputError as exc:
                    bad.append(BadFile(structure.label, str(exc)))
                else:
                    good.append(structure)
        except InputError as exc:
            bad.append(BadFile(path.name, str(exc)))
    return good, bad


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if is_structure_file(file)]
            if not files:
                raise InputError(f"The folder {path} has no CIF, POSCAR, JSON or xyz file.")
            yield from files
        elif path.is_file():
            yield path
        else:
            raise InputError(f"There is no file {path}.")


def is_structure_file(path: Path) -> bool:
    """Say whether a file's name is that of a structure file."""
    name = path.name.lower()
    return path.is_file() and (path.suffix.lower() in KNOWN or name.startswith(("poscar", "contcar")))


def _read(path: Path) -> Iterator[NamedStructure | BadFile]:
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    if path.suffix.lower() in FRAMES:
        frames = list(extxyz_rows(path, target=""))
        for frame in frames:
            label = path.name if len(frames) == 1 else f"{path.name}#{frame.number}"
            if frame.parsed is None:
                yield BadFile(label, str(frame.problem))
            else:
                yield _named(label, path, frame.parsed)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InputError("it is no text file") from exc
    yield _named(path.name, path, parse_structure(text))


def _named(label: str, path: Path, parsed: Parsed) -> NamedStructure:
    notes = (*parsed.warnings, *(["a molecule, put in a box with vacuum"] if parsed.molecule else []))
    return NamedStructure(label, path, parsed.crystal, "; ".join(notes))
