"""Which modules of a hub take part in a composition."""

from __future__ import annotations

from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, InputError
from moma_app.hub.hub import Hub
from moma_app.hub.module import Module


def usable_modules(
    hub: Hub, names: list[str] | None, kind: str, backbone_name: str | None
) -> tuple[list[Module], dict[str, str]]:
    """Return the modules to consider, and those left out with the reason.

    Modules that started from other pre-trained weights than most do, or feed other layers to
    their head, are left out; those of the backbone as it is installed here come first. Modules that
    started each from an initialisation of its own go together, though not with others.

    Raises:
        InputError: none is left, or the hub mixes backbones and none was named.
        UnknownNameError: a name is not in the hub.
    """
    skipped: dict[str, str] = {}
    candidates: list[Module] = []
    for name in list(hub) if names is None else dict.fromkeys(names):
        try:
            module = hub[name]
        except DamagedFileError as exc:
            skipped[name] = str(exc)
            continue
        if names is not None and module.card.kind != kind:
            raise InputError(
                f"Module {name!r} is of kind {module.card.kind!r}, but {kind!r} modules were asked for: "
                "kinds cannot be mixed."
            )
        if module.card.kind != kind:
            continue
        if backbone_name in (None, module.card.backbone):
            candidates.append(module)
        elif names is not None:
            skipped[name] = f"its backbone is {module.card.backbone}, not {backbone_name}"
    if not candidates:
        where = ", ".join(str(folder) for folder in hub.folders)
        raise InputError(
            f"The hub ({where}) has no usable module of kind {kind!r}: train or pull some first."
            + "".join(f" {name} is left out: {reason}" for name, reason in skipped.items())
        )
    return _largest_group(candidates, skipped), skipped


def _largest_group(candidates: list[Module], skipped: dict[str, str]) -> list[Module]:
    """Return the modules that can be composed with each other; note the others in ``skipped``."""
    groups = [(m.card.backbone, m.card.fingerprint, m.card.layers) for m in candidates]
    backbones = sorted({name for name, _, _ in groups})
    if len(backbones) > 1:
        raise InputError(
            f"The hub has modules of several backbones ({', '.join(backbones)}): choose one with --backbone."
        )
    # The same architecture from other weights, or with other layers: the largest group is used, but
    # modules of other weights than those installed here could not run.
    own = get_backbone(backbones[0]).fingerprint
    main = max(sorted(set(groups)), key=lambda group: (group[1] == own, groups.count(group)))
    for module, group in zip(candidates, groups, strict=True):
        if group != main:
            skipped[module.name] = (
                "it started from an initialisation of its own, other modules from common weights"
                if module.card.independent and main[1]
                else "it started from other pre-trained weights, or feeds other layers to its head"
            )
    return [module for module, group in zip(candidates, groups, strict=True) if group == main]
