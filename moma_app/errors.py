"""One family of exceptions, each carrying a message written for the person at the keyboard.

A message is one sentence: what is wrong, where, and what to do. Faces (CLI, dashboard,
notebooks) show it as it stands; anything that is not a ``MomaError`` is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MomaError(Exception):
    """Base of every error that a user can cause, or can do something about."""


class InputError(MomaError):
    """A file, row or argument that cannot be used as it is."""


class StructureRefusedError(InputError):
    """One of several structures cannot be made a graph.

    Attributes:
        position: which one, from 0.
        reason: what is wrong with it.
    """

    def __init__(self, position: int, reason: str) -> None:
        self.position = position
        self.reason = reason
        super().__init__(f"Structure {position}: {reason}")


class UnknownNameError(InputError):
    """A name that is not among the known ones; the message lists what is close."""

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.name = name
        self.known = sorted(known)
        close = difflib.get_close_matches(name, self.known, n=3, cutoff=0.5)
        if close:
            choice = f"did you mean {' or '.join(close)}?"
        elif self.known:
            shown = ", ".join(self.known[:12]) + (", …" if len(self.known) > 12 else "")
            choice = f"known: {shown}."
        else:
            choice = "none are known here."
        super().__init__(f"There is no {what} called {name!r}: {choice}{' ' + hint if hint else ''}")


class DataNotFoundError(MomaError):
    """The data of a known task is on none of the search paths and could not be downloaded."""


class DamagedFileError(MomaError):
    """A file whose content does not agree with its checksum, header or schema."""


class IncompatibleError(MomaError):
    """Parts that do not fit together, such as modules of two different backbones."""


class TrainingDivergedError(MomaError):
    """The loss became NaN or infinite, or grew without bound."""


class MissingDependencyError(MomaError):
    """An optional package is needed for what was asked."""


class CancelledError(MomaError):
    """The user stopped the work; what was saved so far stays."""
