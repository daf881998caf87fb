"""A learner's own settings as a form and an address have them: fields from their types, texts to values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from moma_app.errors import InputError, MomaError, UnknownNameError
from moma_app.experiments.registry import Learner, get_learner, learner_names
from moma_app.training.recipe import recipe_names

DEFAULT = "instant"
_NAMED: Mapping[str, Callable[[], list[str]]] = {"recipe": recipe_names}
"""Settings that choose from a list which their type does not name. A recipe's file is for the command line:
an address must not make the server read files."""


@dataclass(frozen=True)
class OptionField:
    """One setting of a learner.

    Attributes:
        name: of the setting.
        label: for people.
        description: one sentence.
        default: what counts where nothing is said; empty if that is decided elsewhere.
        choices: values to choose from; empty for a free one.
    """

    name: str
    label: str
    description: str
    default: str
    choices: tuple[str, ...]


def usable_learners() -> tuple[dict[str, Learner], list[str]]:
    """Return the installed learners that can begin with a module and without one, the default first.

    Experiments compare the two. Also returns what is wrong with learners that cannot be loaded.
    """
    found: dict[str, Learner] = {}
    problems: list[str] = []
    for name in sorted(learner_names(), key=lambda name: (name != DEFAULT, name)):
        try:
            learner = get_learner(name)
        except MomaError as exc:
            problems.append(str(exc))
            continue
        if {"composed", "backbone"} <= learner.starts:
            found[name] = learner
    return found, problems


def option_fields(learner: Learner) -> list[OptionField]:
    """Return the fields of a learner's settings, in the order of their type."""
    fields = []
    for name, field in learner.options.model_fields.items():
        if get_origin(field.annotation) is dict:
            continue  # settings of settings: for plans that are written down
        words = name.replace("_", " ")
        fields.append(
            OptionField(
                name=name,
                label=words[0].upper() + words[1:],
                description=field.description or "",
                default="" if field.default is None or field.is_required() else str(field.default),
                choices=_choices(name, field.annotation),
            )
        )
    return fields


def _choices(name: str, kind: Any) -> tuple[str, ...]:
    if name in _NAMED:
        return tuple(_NAMED[name]())
    parts = [part for part in (get_args(kind) or (kind,)) if part is not NoneType]
    if get_origin(kind) is Literal:
        return tuple(map(str, parts))
    if parts == [bool]:
        return ("True", "False")
    return ()


def read_options(learner: Learner, texts: Sequence[str]) -> dict[str, Any]:
    """Return the settings that an address has, as ``epochs:5``; those that it does not name are left out.

    Raises:
        UnknownNameError: there is no such setting or choice.
        InputError: a value cannot be used.
    """
    given = dict(_pair(text) for text in texts)
    fields = {field.name: field for field in option_fields(learner)}
    for name, value in given.items():
        choices = fields[name].choices if name in fields else ()
        if choices and value not in choices:
            raise UnknownNameError(name, value, choices)
    return learner.settings(given).model_dump(exclude_unset=True)


def _pair(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise InputError(f"A setting of a learner is written name:value, not {text!r}.")
    return name, value
