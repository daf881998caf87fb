"""A module's errors beside those of others, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moma_app.hub.quality import published, quality_of
from moma_app.plots.text import number, with_unit_after

if TYPE_CHECKING:
    from moma_app.hub.card import Card


def compared(card: Card, known: Iterable[Card]) -> dict[str, str]:
    """Return what others get on a module's task, by who they are; what is not known is left out.

    Args:
        card: of the module.
        known: cards of its hub; an adapter is compared with what its task's full module is compared with.
    """
    of_its_task = [other for other in known if other.target.task == card.target.task and other != card]
    quality = quality_of([*of_its_task, card])[-1]
    found = {}
    if quality.scratch_mae is not None:
        ratio = number(quality.scratch_over_mad)
        found["From scratch"] = f"{with_unit_after(quality.scratch_mae, quality.unit)}, MAE/MAD {ratio}"
    elif quality.scratch_accuracy is not None:
        found["From scratch"] = f"accuracy {number(quality.scratch_accuracy)}"
    if quality.published:
        row = published()[quality.task]
        error = f"{row['mae']} {row['unit']}, " if row["mae"] else ""
        found["CGCNN, full data"] = f"{error}MAE/MAD {quality.published} (Chang et al. 2022, Table 5)"
    return found
