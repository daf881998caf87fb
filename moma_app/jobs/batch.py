"""Many runs that belong together: the modules of a hub, the cells of an experiment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from moma_app.jobs.listing import by_digest
from moma_app.jobs.order import Outcome
from moma_app.jobs.spec import RunSpec
from moma_app.jobs.states import RESUMABLE
from moma_app.progress import Listener, Step, silent

if TYPE_CHECKING:
    from moma_app.jobs.jobs import Jobs

PAUSE = 0.5
"""Seconds between two looks at the runs, at the least."""
IDLE = 30
"""So many times longer than a look is the pause after it: the workers need the processor."""
LONGEST = 10.0
"""Seconds between two looks, at the most."""


def run_all(
    jobs: Jobs,
    specs: Sequence[RunSpec],
    listener: Listener = silent,
    *,
    what: str = "runs",
    on_end: Callable[[RunSpec, Outcome], None] | None = None,
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
        on_end: is called with each run as soon as it has ended.
    """
    plan = {spec.digest: spec for spec in specs}
    ids: dict[str, str] = {}
    ended: dict[str, Outcome] = {}
    try:
        ids.update(begin_all(jobs, list(plan.values())))  # one by one: Ctrl-C stops those that have begun
        while len(ended) < len(plan):
            began = time.perf_counter()
            for digest in [each for each in plan if each not in ended]:
                if not jobs.record(ids[digest]).open:
                    ended[digest] = jobs.outcome(ids[digest])
                    if on_end is not None:
                        on_end(plan[digest], ended[digest])
                    share = len(ended) / len(plan)
                    listener(Step(what=what, done=len(ended), total=len(plan), fraction=share))
            if len(ended) < len(plan):
                time.sleep(min(LONGEST, max(PAUSE, IDLE * (time.perf_counter() - began))))
    except KeyboardInterrupt:
        for digest in ids.keys() - ended.keys():
            if jobs.record(ids[digest]).open:
                jobs.cancel(ids[digest])
        raise
    return [ended[spec.digest] for spec in specs]


def begin_all(jobs: Jobs, specs: Sequence[RunSpec], listener: Listener = silent) -> Iterator[tuple[str, str]]:
    """Start what is neither done nor being done, and do not wait for it (inline: until each is over).

    Args:
        jobs: where they run.
        specs: what to do; equal ones are begun once.
        listener: gets the events of inline runs.

    Yields:
        The digest of each piece of work and the id of the run that does it, an earlier or a new one.
    """
    plan = {spec.digest: spec for spec in specs}
    before = by_digest(jobs, plan.keys())
    for digest, spec in plan.items():
        if jobs.engine == "inline":  # while the others were done, somebody else may have begun it
            before = by_digest(jobs, [digest])
        earlier = before.get(digest)
        if earlier is None:
            yield digest, jobs.submit(spec, listener)
        elif earlier.state in RESUMABLE:
            yield digest, jobs.resume(earlier.id, listener)
        else:
            yield digest, earlier.id
