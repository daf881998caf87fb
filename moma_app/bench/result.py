"""What a benchmark measured: data only, JSON-ready."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from moma_app.bench.cases import Case
from moma_app.bench.scaling import Scaling


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        median, minimum, maximum: seconds per unit, over the repeats.
        repeats: seconds per unit of each repeat.
        units: how many of them one repeat has.
        warm_up: seconds of the first call, which does not count.
        peak_mb: most memory in MB; on a CPU resident memory of the whole process.
        work_mb: peak without what the process held before the work (libraries, inputs), MB.
        gflops: matrix-product operations a second in 1e9, if they are counted.
        peak_share: that in units of what the machine attains at best.
        facts: what else a reader should know.
    """

    median: float
    minimum: float
    maximum: float
    repeats: tuple[float, ...]
    units: float
    warm_up: float
    peak_mb: float | None
    work_mb: float | None
    gflops: float | None
    peak_share: float | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Agreement:
    """Whether both sides got the same numbers.

    Attributes:
        difference: largest difference, in units of the largest number.
        tolerance: how much of it is allowed.
    """

    difference: float
    tolerance: float

    @property
    def agree(self) -> bool:
        """Whether they did."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class CaseResult:
    """What was measured for one case; its sizes are those that it ran with."""

    case: Case
    ours: Side
    theirs: Side | None = None
    agreement: Agreement | None = None
    profile: tuple[dict[str, Any], ...] = ()

    @property
    def ratio(self) -> float | None:
        """Their time over ours."""
        return None if self.theirs is None else self.theirs.median / self.ours.median

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached, or the limit kept; ``None`` if there is none or it cannot be told."""
        if self.case.bar is not None and self.ratio is not None:
            return self.ratio >= self.case.bar
        if self.case.limit is None:
            return None
        value = self.ours.median if self.case.limit.what == "seconds" else self.ours.peak_mb
        return None if value is None else value <= self.case.limit.at_most

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        case, agreement = self.case, self.agreement
        return {
            "name": case.name,
            "work": case.work,
            "against": case.against,
            "task": case.task,
            "device": case.device,
            "unit": case.unit,
            "sizes": case.sizes.to_dict(),
            "ours": asdict(self.ours),
            "theirs": None if self.theirs is None else asdict(self.theirs),
            "ratio": self.ratio,
            "bar": case.bar,
            "limit": None if case.limit is None else asdict(case.limit),
            "reached": self.reached,
            "agreement": None if agreement is None else {**asdict(agreement), "agree": agreement.agree},
            "profile": list(self.profile),
        }


@dataclass(frozen=True)
class GrowthPoint:
    """Time at one size.

    Attributes:
        axis: what grows: rows, modules or atoms per cell.
        label: of the curve, for people.
        size: how large it was.
        seconds: for all of the work, or for one structure, as ``per`` says.
        per: ``all`` or ``structure``.
        peak_mb: most memory in MB.
        peak_share: of the machine's floating-point peak.
    """

    axis: str
    label: str
    size: int
    seconds: float
    per: str
    peak_mb: float | None
    peak_share: float | None


@dataclass(frozen=True)
class Submission:
    """Tiny futures through a real scheduler, submitted in one way.

    Attributes:
        way: how they were submitted.
        tasks: pieces of work, each one chunk of one module.
        futures: that the scheduler saw, reductions included.
        seconds: from the first call to the last result.
        sent: seconds until the client had sent everything.
        first: seconds until the first piece was done.
        scheduler_cpu: processor seconds of the scheduler.
        scheduler_mb, scheduler_work_mb: most resident memory of the scheduler in MB, and what the futures added.
        client_mb, client_work_mb: the same of the client's process.
    """

    way: str
    tasks: int
    futures: int
    seconds: float
    sent: float
    first: float
    scheduler_cpu: float
    scheduler_mb: float
    scheduler_work_mb: float
    client_mb: float | None
    client_work_mb: float | None

    @property
    def each(self) -> float:
        """Seconds for each piece of work."""
        return self.seconds / self.tasks


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Attributes:
        cpu: processor and threads, or GPU.
        cores: CPU cores that this process may use.
        threads: CPU threads of each worker.
        memory_mb: of the machine, MB.
        peak_gflops: float32 operations a second in 1e9 that a large matrix product attains, by device.
        versions: of what matters: Python, torch, chgnet, the BLAS.
    """

    cpu: str
    cores: int
    threads: int
    memory_mb: float | None
    cuda: str | None
    peak_gflops: dict[str, float]
    versions: dict[str, str]


@dataclass(frozen=True)
class Report:
    """All that one run measured.

    Attributes:
        left_out: sentences about cases that could not run.
        submissions: tiny futures through a scheduler.
        submission_workers: processes that worked for it.
        scaling: what large hubs take.
    """

    machine: Machine
    repeats: int
    flush_reference: bool
    cases: tuple[CaseResult, ...] = ()
    growth: tuple[GrowthPoint, ...] = ()
    left_out: tuple[str, ...] = ()
    submissions: tuple[Submission, ...] = ()
    submission_workers: int = 0
    scaling: Scaling | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "machine": asdict(self.machine),
            "repeats": self.repeats,
            "flush_reference": self.flush_reference,
            "cases": [result.to_dict() for result in self.cases],
            "growth": [asdict(point) for point in self.growth],
            "left_out": list(self.left_out),
            "submissions": [asdict(run) | {"each": run.each} for run in self.submissions],
            "submission_workers": self.submission_workers,
            "scaling": None if self.scaling is None else self.scaling.to_dict(),
        }
