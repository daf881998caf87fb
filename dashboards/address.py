"""What a page shows, as the query of its address: can be bookmarked, shared and reloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import param


class PageState(param.Parameterized):
    """Base of a page's state.

    Subclasses declare plain parameters (strings, numbers, booleans, lists of strings or numbers); the
    address names those that differ from their defaults. A value in an address that does not fit is
    left out, and told in :attr:`refused`: addresses come from anywhere.
    """

    def __init__(self, query: str = "", **values: Any) -> None:
        super().__init__(**values)
        self._defaults = {name: getattr(self, name) for name in self.names()}
        self.refused: list[str] = []
        self.read(query)

    @classmethod
    def names(cls) -> list[str]:
        """Return the parameters that stand in the address."""
        return [name for name in cls.param if name != "name" and not name.startswith("_")]

    def read(self, query: str) -> None:
        """Take the values of an address."""
        for name, text in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
            if name not in self._defaults:
                continue
            try:
                self.param.update(**{name: self._parse(name, text)})
            except (ValueError, TypeError):
                self.refused.append(f"{name}={text}")

    @property
    def query(self) -> str:
        """The state as a query with its question mark; empty if all is as by default."""
        changed = {
            name: _text(value)
            for name, value in ((name, getattr(self, name)) for name in self.names())
            if value != self._defaults[name]
        }
        return f"?{urlencode(changed)}" if changed else ""

    def _parse(self, name: str, text: str) -> Any:
        kind = self.param[name]
        if isinstance(kind, param.Boolean):
            if text not in ("0", "1"):
                raise ValueError(text)
            return text == "1"
        if text == "" and kind.allow_None:
            return None
        if isinstance(kind, param.Integer):
            return int(text)
        if isinstance(kind, param.Number):
            return float(text)
        if isinstance(kind, param.List):
            return [(kind.item_type or str)(item) for item in text.split(",") if item]
        return text


def query_of(values: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> str:
    """Return values as a query with its question mark, for a link to another page."""
    pairs = values.items() if isinstance(values, Mapping) else values
    given = {name: _text(value) for name, value in pairs if value not in (None, "", [])}
    return f"?{urlencode(given)}" if given else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
