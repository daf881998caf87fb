"""Which worker takes a run: short runs must not wait behind long ones on local workers.

Local workers say by Dask resources what they are for. A *main* worker takes everything; the *quick*
worker takes only runs that are called quick (a prediction, the composition of a small task), so that
somebody who waits for one does not wait for another's fine-tuning. Workers of a cluster that was
started elsewhere say nothing of the kind, and take everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moma_app.errors import InputError
from moma_app.jobs.spec import Needs

MAIN = "MAIN"
QUICK = "QUICK"
KINDS = (MAIN, QUICK)
PLENTY = 1000.0
"""Offered of either: it is a name for a kind of worker, and a run with pieces on its own worker needs it twice."""

Offers = Mapping[str, float]


def offers_of_main(memory_gb: float, *, gpu: bool) -> dict[str, float]:
    """Return what a main worker offers."""
    return {"MEMORY": memory_gb, **({"GPU": 1.0} if gpu else {}), MAIN: PLENTY, QUICK: PLENTY}


def offers_of_quick() -> dict[str, float]:
    """Return what the quick worker offers: no GPU and no memory, so that who asks for these goes elsewhere."""
    return {QUICK: PLENTY}


def is_quick_worker(offers: Offers) -> bool:
    """Return whether a worker takes quick runs only."""
    return QUICK in offers and MAIN not in offers


def may_overtake(needs: Needs) -> bool:
    """Return whether a run may go to the quick worker."""
    return needs.quick and needs.processes == 1 and not needs.to_dask()


def demands(needs: Needs, *, local: bool) -> dict[str, float]:
    """Return the resources that a run demands.

    Args:
        needs: of the run.
        local: whether the workers are those that :mod:`moma_app.jobs.service` started.
    """
    kind = {QUICK if may_overtake(needs) else MAIN: 1.0} if local else {}
    return {**needs.to_dask(), **kind}


def demands_of_piece(needs: Needs, own: Offers) -> dict[str, float]:
    """Return the resources that a piece of a run demands, where the run's worker offers ``own``.

    Pieces go to main workers: whoever has many is not quick.
    """
    return {**needs.to_dask(), **({MAIN: 1.0} if MAIN in own else {})}


def refuse_unmet(needs: Needs, offers: Iterable[Offers], address: str) -> None:
    """Refuse what would wait for ever; workers that are still to come offer nothing yet.

    Raises:
        InputError: no worker offers what the run needs.
    """
    there = [offer for offer in offers if not is_quick_worker(offer)]
    for name, amount in needs.to_dask().items():
        most = max((offer.get(name, 0.0) for offer in there), default=amount)
        if most < amount:
            raise InputError(
                f"No worker of {address} offers {name}={amount:g} (the most is {most:g}): start workers with "
                f'`dask worker … --resources "{name}={amount:g}"`.'
            )


def free_main_workers(dask_scheduler: Any) -> list[str] | None:
    """Return the addresses of main workers without work; ``None`` if there is no main worker yet.

    Runs on the scheduler.
    """
    main = [worker for worker in dask_scheduler.workers.values() if MAIN in worker.resources]
    return [worker.address for worker in main if not worker.processing] if main else None
