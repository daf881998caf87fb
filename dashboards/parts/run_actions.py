"""What a page does with runs: one after the other, beside the page."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.parts.run_pages import forget
from dashboards.services import get_jobs
from moma_app.errors import InputError, UnknownNameError
from moma_app.jobs.record import Record
from moma_app.plots.text import count


def cancel_all(records: Sequence[Record]) -> int:
    """Stop runs; returns how many were open. Others have ended by themselves in the meantime."""
    jobs = get_jobs()
    done = 0
    try:
        for record in records:
            if jobs.record(record.id).open:
                jobs.cancel(record.id)
                done += 1
    finally:
        forget()
    return done


def delete_all(records: Sequence[Record]) -> int:
    """Forget runs with their artefacts; returns how many there were.

    Raises:
        InputError: some work again, because somebody has resumed them; the others are deleted.
    """
    jobs = get_jobs()
    kept: list[Record] = []
    done = 0
    try:
        for record in records:
            try:
                jobs.delete(record.id)
                done += 1
            except UnknownNameError:
                continue  # somebody else was faster
            except InputError:
                kept.append(record)
    finally:
        forget()
    if kept:
        raise InputError(
            f"{count(len(kept), 'run')} of {len(records):,} work again and were kept: cancel them first."
        )
    return done


def rerun(run_id: str) -> str:
    """Start the same work as a new run and return its id."""
    jobs = get_jobs()
    try:
        return jobs.submit(jobs.rerun(run_id))
    finally:
        forget()
