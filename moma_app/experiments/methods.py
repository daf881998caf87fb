"""What a learner starts from: the composed module by one of several rules, one module, or no module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from moma_app.choices import Weighting
from moma_app.errors import UnknownNameError
from moma_app.work.composing import AMC

Start = Literal["composed", "backbone", "scratch"]
SINGLE = "module:"
"""``module:NAME`` is one named module of the hub."""


@dataclass(frozen=True)
class Method:
    """A column of a table.

    Attributes:
        name: as plans and commands have it.
        label: for people.
        summary: what it does, in one sentence.
        start: what the learner begins with.
        weighting: of a composed start.
        module: the one module to compose, if it is a single one by name.
    """

    name: str
    label: str
    summary: str
    start: Start = "composed"
    weighting: Weighting = "amc"
    module: str | None = None

    def settings(self, amc: AMC) -> AMC:
        """Return a composition's settings with this method's rule.

        Without a composition the hub does not matter, nor do K and T: such cells are the same work
        for every hub.
        """
        if self.start != "composed":
            return AMC(backbone=amc.backbone)
        modules = amc.modules if self.module is None else [self.module]
        return replace(amc, modules=modules, weighting=self.weighting)


_KNOWN = (
    Method("amc", "AMC", "The convex combination of modules with the least proxy error (Eq. 2-3)."),
    Method(
        "select-average",
        "Select average",
        "The modules that AMC gives weight, averaged equally.",
        weighting="select-average",
    ),
    Method(
        "all-average", "All average", "All modules of the hub, averaged equally.", weighting="all-average"
    ),
    Method(
        "random",
        "Random selection",
        "As many modules as AMC selects, drawn at random and averaged equally.",
        weighting="random",
    ),
    Method(
        "best-single",
        "Best single module",
        "The module with the lowest proxy error.",
        weighting="best-single",
    ),
    Method("bare", "Bare backbone", "The pre-trained backbone without any module.", start="backbone"),
    Method("scratch", "From scratch", "The backbone's architecture with random weights.", start="scratch"),
)
METHODS: dict[str, Method] = {method.name: method for method in _KNOWN}
ABLATION = ("amc", "select-average", "all-average", "random", "best-single", "bare")
"""The methods of the paper's Figure 4, and the two references that a reader asks for."""


def get_method(name: str) -> Method:
    """Return a method by name; ``module:NAME`` is a single module.

    Raises:
        UnknownNameError: there is none.
    """
    if name.startswith(SINGLE) and len(name) > len(SINGLE):
        module = name.removeprefix(SINGLE)
        return Method(name, f"Module {module}", f"The module {module} alone.", module=module)
    if name not in METHODS:
        raise UnknownNameError("method", name, METHODS, f"One module is {SINGLE}NAME.")
    return METHODS[name]
