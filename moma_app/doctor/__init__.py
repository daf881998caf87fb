"""What is well and what is not with an installation, a machine and its folders, each with a remedy."""

from __future__ import annotations

from moma_app.doctor.finding import Finding, State, worst
from moma_app.doctor.run import examine

__all__ = ["Finding", "State", "examine", "worst"]
