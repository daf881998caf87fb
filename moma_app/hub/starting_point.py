"""Whether a module that comes to a hub started from the weights that the hub's other modules started from."""

from __future__ import annotations

from moma_app.backbones.registry import get_backbone
from moma_app.errors import DataNotFoundError, IncompatibleError, MissingDependencyError, UnknownNameError
from moma_app.hub.card import Card
from moma_app.hub.hub import Hub


def check_starting_point(hub: Hub, card: Card) -> None:
    """Refuse a module that can neither run here nor be merged with the hub's others.

    Nothing is asked of a module whose backbone is not installed here, or has no pre-trained weights
    (``cgcnn``): its modules may each have a start of their own.

    Args:
        hub: that the module is to be added to.
        card: of the module.

    Raises:
        IncompatibleError: it started from other pre-trained weights than those of the backbone here,
            or than the hub's other modules of that backbone.
    """
    try:
        backbone = get_backbone(card.backbone)
        if not backbone.info.trained:
            return
        installed = backbone.fingerprint
    except (UnknownNameError, MissingDependencyError, DataNotFoundError):
        return
    if card.fingerprint != installed:
        raise IncompatibleError(
            f"Module {card.name!r} started from {card.backbone} weights {card.fingerprint}, but those installed here "
            f"are {installed}: it cannot run with them; install the version of {card.backbone} that it was made with."
        )
    others = {
        other.name: other.fingerprint
        for other in hub.cards()
        if other.backbone == card.backbone and other.name != card.name
    }
    if others and card.fingerprint not in others.values():
        first, expected = next(iter(others.items()))
        raise IncompatibleError(
            f"Module {card.name!r} started from {card.backbone} weights {card.fingerprint}, but the hub's other modules "
            f"of {card.backbone} ({len(others)}, {first!r} for one) started from {expected}: they cannot be merged, "
            "add it to another hub."
        )
