"""The modules of a hub as lists offer them, the newest first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from dashboards.services import get_hub
from moma_app.plots.text import whole, with_unit


@dataclass(frozen=True)
class HubOffers:
    """What can be chosen of a hub.

    Attributes:
        modules: names by what a list shows, the newest first.
        backbones: of the hub's modules of this kind; the one with most modules first.
        damaged: modules whose cards cannot be read.
    """

    modules: dict[str, str]
    backbones: list[str]
    damaged: int


def hub_offers(hub: str, kind: str, backbone: str = "") -> HubOffers:
    """Return what can be chosen of a hub; reads its cards when they have changed.

    Args:
        hub: address as an address of a page has it; empty for the user's and the built-in one.
        kind: of the modules.
        backbone: of the modules; empty for any.
    """
    from moma_app.work.modules import modules_of

    read = modules_of(get_hub(hub)).values()
    cards = [module.card for module in read if module is not None and module.card.kind == kind]
    backbones = [name for name, _ in Counter(card.backbone for card in cards).most_common()]
    offered = [card for card in cards if backbone in ("", card.backbone)]
    offered.sort(key=lambda card: card.name)
    offered.sort(key=lambda card: card.created, reverse=True)
    return HubOffers(
        modules={
            f"{card.name}: {with_unit(card.target.property, card.target.unit)}, {whole(card.data.rows_train)} training rows, "
            f"{card.created[:10]}": card.name
            for card in offered
        },
        backbones=backbones,
        damaged=sum(module is None for module in read),
    )
