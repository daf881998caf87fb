"""How large the work of a benchmark is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """Sizes of one piece of work; ``None`` where a size has no meaning.

    Attributes:
        structures: how many crystals.
        batch_size: crystals in one training step.
        rows: embeddings, one per crystal.
        width: numbers in one embedding.
        modules: modules that are compared or merged.
        parameters: of one module.
        workers: processes that work for a scheduler.
    """

    structures: int | None = None
    batch_size: int | None = None
    rows: int | None = None
    width: int | None = None
    modules: int | None = None
    parameters: int | None = None
    workers: int | None = None

    def overridden(self, wishes: Sizes) -> Sizes:
        """Return these sizes with the wishes in place, for the sizes that have a meaning here."""
        changes = {
            name: wish
            for name, wish in asdict(wishes).items()
            if wish is not None and getattr(self, name) is not None
        }
        return replace(self, **changes)

    def to_dict(self) -> dict[str, int]:
        """Return the sizes that have a meaning."""
        return {name: size for name, size in asdict(self).items() if size is not None}

    def __str__(self) -> str:
        names = {"batch_size": "batch {}", "width": "width {}"}
        return ", ".join(
            names.get(name, "{} " + name).format(f"{size:,}") for name, size in self.to_dict().items()
        )


def required(size: int | None) -> int:
    """Return a size that the work at hand cannot do without."""
    assert size is not None
    return size
