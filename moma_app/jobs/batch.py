"""Many runs that belong together: the modules of a hub, the cells of an experiment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.jobs.listing import list_runs
from moma_app.jobs.order import Outcome
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import RESUMABLE
from moma_app.progress import Listener, Step, silent

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

PAUSE = 0.5


def run_all(
    jobs: Jobs, specs: Sequence[RunSpec], listener: Listener = silent, *, what: str = "runs"
) -> list[Outcome]:
    """Do many runs and return their outcomes, in the order of ``specs``.

    What has been done before is not done again: a finished run of equal work (same unit, arguments
    and files) counts, an unfinished one is resumed. So a plan that was stopped goes on when it is
    given again. A failed run does not stop the others. Ctrl-C stops them all and is raised again.

    Args:
        jobs: where they run.
        specs: what to do; equal ones are done once.
        listener: gets a ``Step`` whenever one has ended; each run's own events are with the run.
        what: name of the runs in these steps.
    """
    plan = {spec.digest: spec for spec in specs}
    ids: dict[str, str] = {}
    ended: dict[str, Outcome] = {}
    try:
        for digest, spec in plan.items():
            ids[digest] = _begin(jobs, spec)
        while len(ended) < len(plan):
            for digest in plan.keys() - ended.keys():
                if not jobs.record(ids[digest]).open:
                    ended[digest] = jobs.outcome(ids[digest])
                    share = len(ended) / len(plan)
                    listener(Step(what=what, done=len(ended), total=len(plan), fraction=share))
            if len(ended) < len(plan):
                time.sleep(PAUSE)
    except KeyboardInterrupt:
        for digest in ids.keys() - ended.keys():
            if jobs.record(ids[digest]).open:
                jobs.cancel(ids[digest])
        raise
    return [ended[spec.digest] for spec in specs]


def _begin(jobs: Jobs, spec: RunSpec) -> str:
    """Return the id of the run that does a piece of work: an earlier one, or a new one."""
    before = list_runs(jobs, digest=spec.digest, limit=1)
    if not before:
        return jobs.submit(spec)
    return jobs.resume(before[0].id) if before[0].state in RESUMABLE else before[0].id
