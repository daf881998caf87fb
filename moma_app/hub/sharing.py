"""Whether the parameters of modules may be averaged. Needs no PyTorch: a face asks before work begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moma_app.errors import IncompatibleError

if TYPE_CHECKING:
    from moma_app.hub.card import Card

SHOWN = 3
"""Modules that the sentence names."""


class NoSharedStartError(IncompatibleError):
    """Modules that were trained from different initialisations were to be averaged."""


def check_shared_start(cards: Sequence[Card]) -> None:
    """Refuse to average modules of which one was trained from an initialisation of its own.

    Two networks that learn from different random numbers arrange their features in different
    orders; the average of their parameters is a network that has learned nothing.

    Args:
        cards: of the modules that are to be averaged; a single module is its own average.

    Raises:
        NoSharedStartError: naming what is possible instead.
    """
    if len(cards) < 2 or not any(card.independent for card in cards):
        return
    rest = len(cards) - SHOWN
    *first, last = [card.name for card in cards[:SHOWN]] + ([f"{rest} more"] if rest > 0 else [])
    raise NoSharedStartError(
        f"The modules {', '.join(first)} and {last} do not share an initialisation, so the average of their parameters means nothing: use a "
        "mixture of experts instead, which keeps each network as it is (moma compose TASK --instant --mix); weights, "
        "proxy errors and the heat map need no average."
    )
