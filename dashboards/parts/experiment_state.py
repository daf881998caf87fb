"""What the pages of experiments share in their addresses, and the plan that it describes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import param

from dashboards.address import PageState
from dashboards.parts.learner_options import DEFAULT, read_options
from moma_app.errors import InputError
from moma_app.experiments.ablation import REFERENCE, Ablation
from moma_app.experiments.continual import Continual
from moma_app.experiments.few_shot import FewShot
from moma_app.experiments.methods import ABLATION
from moma_app.experiments.registry import get_learner
from moma_app.work.composing import AMC

if TYPE_CHECKING:
    from moma_app.experiments.plan import Plan

ALL_SHOTS = "full"
"""All training structures, where others are numbers."""


class ExperimentState(PageState):
    """Datasets, rows, learner and hub of an experiment; subclasses add what is their own."""

    shown: ClassVar[frozenset[str]] = frozenset()
    """Parts that decide what is drawn, and not the plan."""

    tasks = param.List(default=[], item_type=str, doc="Names of the datasets.")
    splits = param.List(default=[0], item_type=int, doc="Seeds of the splits.")
    seeds = param.List(default=[0], item_type=int, doc="Seeds of the fits and of drawn rows.")
    learner = param.String(default=DEFAULT)
    options = param.List(default=[], item_type=str, doc="Settings of the learner: name:value.")
    hub = param.String()
    kind = param.Selector(default="full", objects=["full", "adapter"])
    backbone = param.String(doc="Only modules of this backbone; empty for any.")
    modules = param.List(default=[], item_type=str, doc="Only these modules; empty for all.")
    k = param.Integer(default=5, bounds=(1, None))
    t = param.Number(default=0.2, bounds=(0, None), inclusive_bounds=(False, True))

    @abstractmethod
    def plan(self) -> Plan:
        """Return the plan that the page is about.

        Raises:
            MomaError: it cannot be made; says what is missing or wrong.
        """

    def settings(self) -> dict[str, Any]:
        """Return the settings that all plans share; those of the modules are not among them.

        Raises:
            MomaError: a learner or one of its settings is unknown, or no dataset is chosen.
        """
        if not self.tasks:
            raise InputError("Choose at least one dataset.")
        options = read_options(get_learner(self.learner), self.options)
        return {
            "tasks": tuple(self.tasks),
            "splits": tuple(self.splits),
            "seeds": tuple(self.seeds),
            "learners": (self.learner,),
            "options": {self.learner: options} if options else {},
            "hub": self.hub or None,
            "kind": self.kind,
            "backbone": self.backbone or None,
            "k": self.k,
            "temperature": self.t,
        }


class AblationState(ExperimentState):
    """The state of the page Ablations."""

    methods = param.List(
        default=[m for m in ABLATION if m != REFERENCE], item_type=str, doc="Compared with AMC."
    )
    shots = param.Integer(default=0, bounds=(0, None), doc="Training structures; 0 takes all.")

    def plan(self) -> Plan:
        """Return the plan that the page is about."""
        return Ablation.make(
            **self.settings(),
            modules=tuple(self.modules) or None,
            methods=(REFERENCE, *self.methods),
            shots=self.shots or None,
        )


class FewShotState(ExperimentState):
    """The state of the page Few-shot."""

    shown = frozenset({"task", "spread"})

    methods = param.List(default=["amc", "bare"], item_type=str, doc="What learners start from.")
    shots = param.List(default=["10", "100", ALL_SHOTS], item_type=str, doc="Numbers of training structures.")
    task = param.String(doc="Dataset that is drawn.")
    spread = param.Selector(default="std", objects=["std", "range"], doc="What the whiskers are.")

    def plan(self) -> Plan:
        """Return the plan that the page is about."""
        return FewShot.make(
            **self.settings(),
            modules=tuple(self.modules) or None,
            methods=tuple(self.methods),
            shots=tuple(read_shots(text) for text in self.shots),
        )


class ContinualState(ExperimentState):
    """The state of the page Continual."""

    added = param.List(default=[], item_type=str, doc="Modules that the hub did not have before.")
    proxy = param.Selector(
        default="objective", objects=["objective", "mae"], doc="Which proxy error is compared."
    )

    def plan(self) -> Plan:
        """Return the plan that the page is about; reads the hub's cards."""
        settings = self.settings()
        if not self.added:
            raise InputError("Choose the modules that are added.")
        asked = AMC(self.hub or None, self.modules or None, self.kind, self.backbone or None)
        after = asked.settled().modules or []
        unknown = [name for name in self.added if name not in after]
        if unknown:
            raise InputError(
                f"The added module {unknown[0]} is not among the hub's {self.kind} modules that are considered."
            )
        before = tuple(name for name in after if name not in self.added)
        if not before:
            raise InputError("All modules are chosen as added: leave some that the hub had before.")
        return Continual.make(**settings, before=before, after=tuple(after), proxy=self.proxy)


def read_shots(text: str) -> int | None:
    """Return a number of training structures as plans have it; ``None`` for all of them.

    Raises:
        InputError: it is no number of 1 or more.
    """
    if text.strip().casefold() in (ALL_SHOTS, "all"):
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise InputError(
            f"A number of training structures is a whole number of 1 or more, or {ALL_SHOTS!r}, not {text!r}."
        )
    return int(text)
