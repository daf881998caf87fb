"""All checks, one after the other; none takes the others down or keeps them waiting for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from moma_app.config import Settings, config_files, resolve
from moma_app.doctor import folders, gpu, machine, packages, processor, scheduler, tracking
from moma_app.doctor.finding import Finding
from moma_app.errors import MomaError

Check = Callable[[Settings], Iterable[Finding]]

CHECKS: tuple[tuple[str, Check], ...] = (
    ("packages", packages.check),
    ("CPU", processor.check_cpu),
    ("C compiler", processor.check_compiler),
    ("CPU kernels", processor.check_kernels),
    ("GPU", gpu.check),
    ("memory", machine.check_memory),
    ("disk", machine.check_disk),
    ("home", folders.check_home),
    ("data", folders.check_data),
    ("hub", folders.check_hub),
    ("tracking store", tracking.check),
    ("scheduler", scheduler.check),
)
LIMIT = 60.0
"""Seconds for one check; compiling the kernels takes a few, all others less."""


def examine(checks: Sequence[tuple[str, Check]] = CHECKS, *, limit: float = LIMIT) -> Iterator[Finding]:
    """Yield what each check finds, as it is found.

    Args:
        checks: name and function of each.
        limit: seconds for one check.
    """
    finding, settings = check_configuration()
    yield finding
    for name, check in checks:
        yield from _bounded(name, check, settings, limit)


def check_configuration() -> tuple[Finding, Settings]:
    """Return how the configuration is, and the settings; the defaults if they cannot be read."""
    try:
        files = [str(file.path) for file in config_files() if file.path.is_file()]
        resolved = resolve()
    except MomaError as exc:
        remedy = "Correct this first: what follows is checked with the default settings."
        return Finding("configuration", "problem", str(exc), remedy), Settings.from_values({})
    kinds = {origin.kind for origin in resolved.origins.values()} - {"file"}
    others = ["environment"] * ("environment" in kinds) + ["flags"] * ("flag" in kinds)
    value = ", ".join([*files, *others]) or "defaults (no file, no variable)"
    return Finding("configuration", "ok", value), resolved.settings


def _bounded(name: str, check: Check, settings: Settings, limit: float) -> list[Finding]:
    """Run a check in a thread that may be left behind, as on a network folder that hangs."""
    found: list[Finding] = []

    def work() -> None:
        try:
            for finding in check(settings):
                found.append(finding)  # noqa: PERF402 - what was found before a crash is kept
        except MomaError as exc:
            found.append(Finding(name, "problem", str(exc), "Do what the message says."))
        except Exception as exc:  # noqa: BLE001 - the other checks go on, whatever it was
            text = f"the check itself failed: {type(exc).__name__}: {exc}"
            remedy = "Report this with the output of moma doctor --json."
            found.append(Finding(name, "problem", text, remedy))

    thread = threading.Thread(target=work, name=f"doctor-{name}", daemon=True)
    thread.start()
    thread.join(limit)
    in_time = found.copy()
    if thread.is_alive():
        remedy = "See whether a network folder or a device driver hangs."
        in_time.append(Finding(name, "problem", f"no answer within {limit:g} s", remedy))
    return in_time
