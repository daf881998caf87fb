"""Loaded by every worker as it starts, so that its first run does not wait for heavy imports."""

from __future__ import annotations

import logging
from typing import Any

from moma_app.errors import MomaError
from moma_app.jobs.registry import get_unit, unit_names

logger = logging.getLogger(__name__)


def dask_setup(worker: Any) -> None:  # noqa: ARG001 - Dask's signature
    """Import what units need; Dask calls this. A unit that cannot be imported fails when it is asked for."""
    import mlflow.tracking  # noqa: F401

    for name in unit_names():
        try:
            get_unit(name)
        except MomaError as exc:
            logger.warning("%s", exc)
