"""Whether a repeated run gave the same numbers, and what may explain a difference."""

from __future__ import annotations

from moma_app.jobs.record import Record

TIMES = ("structures_per_second", "seconds")
"""Metrics that are never the same."""


def differences(old: Record, new: Record) -> dict[str, tuple[str, str]]:
    """Return what differs between two runs of equal work: metrics to the last digit, facts, host, code.

    Empty if all metrics agree; the others are only told together with a metric that differs.
    """
    metrics = {
        name: (repr(old.metrics.get(name)), repr(new.metrics.get(name)))
        for name in sorted({*old.metrics, *new.metrics} - set(TIMES))
        if old.metrics.get(name) != new.metrics.get(name)
    }
    if not metrics:
        return {}
    facts = {
        name: (old.facts.get(name, "–"), new.facts.get(name, "–"))
        for name in sorted({*old.facts, *new.facts})
        if old.facts.get(name) != new.facts.get(name)
    }
    others = {
        name: (str(getattr(old, name)), str(getattr(new, name)))
        for name in ("host", "version", "commit")
        if getattr(old, name) != getattr(new, name)
    }
    return {**metrics, **facts, **others}
