"""Which versions are installed, and whether they are those that this package needs."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from moma_app import __version__
from moma_app.doctor.finding import Finding

if TYPE_CHECKING:
    from moma_app.config import Settings

DISTRIBUTION = "moma-app"
SHOWN = (
    "torch",
    "lightning",
    "torch-geometric",
    "chgnet",
    "pymatgen",
    "matminer",
    "cvxpy",
    "numpy",
    "dask",
    "distributed",
    "mlflow-skinny",
    "mlflow",
    "panel",
    "jupyterlab",
)
"""Shown even if all is well with them; of the others only what is not."""


def check(_: Settings | None = None) -> Iterator[Finding]:
    """Compare the installed versions with what the package asks for."""
    yield Finding("python", "ok", f"{platform.python_version()} ({platform.system()} {platform.machine()})")
    try:
        needed, optional = _requirements()
    except PackageNotFoundError:
        remedy = "Install it with pip install -e . in its folder, so that what it needs can be checked."
        yield Finding(DISTRIBUTION, "hint", f"{__version__}, not installed as a package", remedy)
        needed, optional = {}, {}
    else:
        yield Finding(DISTRIBUTION, "ok", __version__)
    for name in dict.fromkeys([*SHOWN, *needed]):
        finding = _package(name, needed.get(name), optional.get(name, ""))
        if finding is not None and (name in SHOWN or finding.state != "ok"):
            yield finding


def _requirements() -> tuple[dict[str, Requirement], dict[str, str]]:
    """Return what is needed on this machine by name, and the extra that each optional package is in."""
    needed: dict[str, Requirement] = {}
    optional: dict[str, str] = {}
    for text in requires(DISTRIBUTION) or ():
        requirement = Requirement(text)
        name = requirement.name.lower().replace("_", "-")
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed[name] = requirement
        elif "extra" in str(requirement.marker):
            optional.setdefault(name, str(requirement.marker).split("extra ==")[-1].strip("\"' "))
    return needed, optional


def _package(name: str, requirement: Requirement | None, extra: str) -> Finding | None:
    try:
        found = version(name)
    except PackageNotFoundError:
        if requirement is not None:
            return Finding(name, "problem", "not installed", f"Run pip install '{_plain(requirement)}'.")
        if extra:
            remedy = f"If you need it, run pip install '{DISTRIBUTION}[{extra}]'."
            return Finding(name, "ok", f"not installed (optional: {DISTRIBUTION}[{extra}])", remedy)
        return None
    if requirement is not None and not requirement.specifier.contains(found, prereleases=True):
        text = f"{found}, but {requirement.specifier} is needed"
        return Finding(name, "problem", text, f"Run pip install '{_plain(requirement)}'.")
    return Finding(name, "ok", found)


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"
