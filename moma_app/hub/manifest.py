"""The manifest of a hub: its name and version, its modules, and those that it had before.

A hub need not have one. It is the file ``hub.toml`` beside the cards, and may be edited by hand. The
cards say what the hub holds now; the manifest says which content a version of the hub stands for, and
keeps the facts of modules whose files are gone, so that an old result can still be told what it used.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from moma_app.errors import DamagedFileError
from moma_app.files import atomic_write_text
from moma_app.hub.card import NAME_PATTERN, Card, Data, Metrics
from moma_app.hub.versions import Version, is_version

FILE = "hub.toml"
_HEADING = """\
# A hub of MoMa modules. name, version and summary may be edited; the rest is kept by moma hub.
"""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """A module that the hub has.

    Attributes:
        version: of the module.
        sha256: of its tensor file.
    """

    version: str
    sha256: str

    @classmethod
    def of(cls, card: Card) -> Entry:
        """Return the entry of a module."""
        return cls(version=card.version, sha256=card.sha256)


class Superseded(_Strict):
    """A module that the hub had: what its card said, and what became of it."""

    name: str
    version: str
    sha256: str
    superseded_by: str = Field(
        default="", description="Version that took its place; empty if it was removed."
    )
    when: str = Field(description="ISO 8601, UTC.")
    why: str = ""
    backbone: str = ""
    fingerprint: str = ""
    kind: str = ""
    storage: str = ""
    task: str = ""
    property: str = ""
    unit: str = ""
    recipe: str = Field(default="", description="The recipe's name.")
    seed: int | None = None
    created: str = ""
    made_with: str = ""
    licence: str = ""
    size: int = 0
    data: Data | None = None
    metrics: Metrics = Metrics()

    @classmethod
    def of(cls, card: Card, *, superseded_by: str, when: str, why: str) -> Superseded:
        """Return what is kept of a module."""
        return cls(
            name=card.name,
            version=card.version,
            sha256=card.sha256,
            superseded_by=superseded_by,
            when=when,
            why=why,
            backbone=card.backbone,
            fingerprint=card.fingerprint,
            kind=card.kind,
            storage=card.storage,
            task=card.target.task,
            property=card.target.property,
            unit=card.target.unit,
            recipe=str(card.recipe.get("name", "")),
            seed=card.seed,
            created=card.created,
            made_with=card.made_with,
            licence=card.licence,
            size=card.size,
            data=card.data,
            metrics=card.metrics,
        )

    def identity(self) -> tuple[str, str, str]:
        """Return name, version and hash: no two records of a manifest have the same."""
        return self.name, self.version, self.sha256


class Manifest(_Strict):
    """What a hub says of itself. Serialises to TOML."""

    format: Literal[1] = 1
    name: str = Field(description="Name of the hub; as that of a module.")
    version: str = Field(description="Semantic version of the hub's content.")
    summary: str = ""
    modules: dict[str, Entry] = Field(default_factory=dict)
    superseded: tuple[Superseded, ...] = ()

    @field_validator("name")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        if not NAME_PATTERN.fullmatch(value):
            raise ValueError("a hub's name has letters, digits, '_', '-' and '.' only, 100 at most")
        return value

    @field_validator("version")
    @classmethod
    def _semantic(cls, value: str) -> str:
        if not is_version(value):
            raise ValueError(f"{value!r} is no semantic version (MAJOR.MINOR.PATCH)")
        return value

    def parsed_version(self) -> Version:
        """Return the version, to be compared or counted up."""
        return Version(self.version)

    def to_toml(self) -> str:
        """Serialise; :func:`parse_manifest` gives an equal manifest."""
        values = self.model_dump(mode="json", exclude={"modules", "superseded"})
        lines = [_HEADING + _lines(values)]
        if self.modules:
            entries = {name: entry.model_dump() for name, entry in sorted(self.modules.items())}
            lines.append("[modules]\n" + _lines(entries))
        records = (each.model_dump(mode="json", exclude_defaults=True) for each in self.superseded)
        lines += ["[[superseded]]\n" + _lines(record) for record in records]
        return "\n".join(lines)


def read_manifest(folder: Path) -> Manifest | None:
    """Read a hub's manifest, ``None`` if it has none.

    Raises:
        DamagedFileError: it cannot be read, or lacks something.
    """
    path = folder / FILE
    try:
        return parse_manifest(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise DamagedFileError(f"The manifest {path} cannot be read ({exc}).") from exc


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of an older one, in one step."""
    atomic_write_text(folder / FILE, manifest.to_toml())


def parse_manifest(text: str, where: str) -> Manifest:
    """Read a manifest from TOML.

    Args:
        text: the TOML text.
        where: path or address, named in the error.

    Raises:
        DamagedFileError: no TOML, an unknown or missing field, or a value of the wrong type.
    """
    try:
        return Manifest.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise DamagedFileError(f"The manifest {where} is no TOML: {exc}.") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DamagedFileError(f"The manifest {where} cannot be read: {field}: {first['msg']}.") from exc


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{pair}\n" for pair in _pairs(values))


def _pairs(values: Mapping[str, Any]) -> list[str]:
    """Return ``key = value`` of all that is known: TOML has no null."""
    return [f"{_key(key)} = {_value(value)}" for key, value in values.items() if value is not None]


def _key(key: str) -> str:
    """Write a key: module names may have dots, which only a quoted key may."""
    return _text(key) if "." in key else key


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }"
    if isinstance(value, float):
        return repr(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    """Write a text, as JSON does but for one character that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
