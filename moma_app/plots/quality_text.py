"""A module's errors beside those of others, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moma_app.plots.text import number, with_unit_after

if TYPE_CHECKING:
    from moma_app.hub.quality import Quality


def compared(quality: Quality) -> dict[str, str]:
    """Return what others get on a module's task, by who they are; what is not known is left out."""
    found = {}
    if quality.scratch_mae is not None:
        ratio = number(quality.scratch_over_mad)
        found["From scratch"] = f"{with_unit_after(quality.scratch_mae, quality.unit)}, MAE/MAD {ratio}"
    elif quality.scratch_accuracy is not None:
        found["From scratch"] = f"accuracy {number(quality.scratch_accuracy)}"
    if quality.published:
        error = f"{quality.published_mae}, " if quality.published_mae else ""
        found["CGCNN, full data"] = f"{error}MAE/MAD {quality.published} (Chang et al. 2022, Table 5)"
    return found
