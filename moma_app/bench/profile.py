"""Which operations the time of a piece of work goes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST = 10
"""Operations that are named; the rest are put together."""


def profile(run: Callable[[], object], device: str) -> list[dict[str, Any]]:
    """Run once under PyTorch's profiler.

    Returns:
        The operations that take most, each with name, share of the time of all operations, and
        calls; Python between the operations is in none of them.
    """
    import torch
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as record:
        run()
    key = "self_device_time_total" if device == "cuda" else "self_cpu_time_total"
    times = sorted(
        ((float(getattr(event, key)), event.key, int(event.count)) for event in record.key_averages()),
        reverse=True,
    )
    total = sum(seconds for seconds, _, _ in times) or 1.0
    top = [
        {"operation": name, "share": seconds / total, "calls": calls} for seconds, name, calls in times[:MOST]
    ]
    rest = times[MOST:]
    if rest:
        share = sum(seconds for seconds, _, _ in rest) / total
        top.append({"operation": "all others", "share": share, "calls": sum(calls for _, _, calls in rest)})
    return top
