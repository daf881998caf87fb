"""What AMC found: plain values that serialise to JSON and that figures take as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from moma_app.choices import Layers, Weighting
from moma_app.errors import DamagedFileError
from moma_app.text import brief, count, number, shorten, weight_text

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


@dataclass(frozen=True)
class ModuleScore:
    """One module's part in a composition.

    Attributes:
        module: name in the hub.
        task, property, unit: what it was trained to predict.
        weight: composition weight, 0 to 1.
        proxy_mae: leave-one-out kNN error on the train rows, in the task's unit.
        proxy_mae_standardised, proxy_mse_standardised: the same in units of the targets'
            standard deviation (and its square).
        predictions: leave-one-out kNN predictions of the train rows in the task's unit, [m].
        sha256: of the module's tensor file, so that the very same one can be found again.
        version: of the module.
        seconds: time to encode the train rows.
    """

    module: str
    task: str
    property: str
    unit: str
    weight: float
    proxy_mae: float
    proxy_mae_standardised: float
    proxy_mse_standardised: float
    predictions: list[float]
    sha256: str = ""
    version: str = ""
    seconds: float = 0.0

    def __repr__(self) -> str:
        return brief(
            self, f"{self.module}: weight {weight_text(self.weight)}, proxy MAE {number(self.proxy_mae)}"
        )


@dataclass(frozen=True)
class AMCResult:
    """Result of adaptive module composition for one task and split.

    Attributes:
        task, property, unit: the downstream task.
        modules: one score per module of the hub that took part, in the hub's order.
        objective: mean squared error of the weighted kNN predictions, in squared standard deviations.
        status: of the solver.
        k, temperature: of Eq. 1.
        split, shots, seed: which train rows; ``shots`` is ``None`` for all of them.
        split_origin: ``published`` or ``random``.
        train_ids, train_targets: ids and targets (task's unit) of the m train rows.
        backbone, fingerprint, kind, layers: what the modules share; the fingerprint is empty if each
            started from an initialisation of its own.
        skipped: modules that were left out, with the reason.
        weighting: how the weights were chosen; results of the first version have none, and are AMC's.
        made_with: version of moma-app.
    """

    task: str
    property: str
    unit: str
    modules: list[ModuleScore]
    objective: float
    status: str
    k: int
    temperature: float
    split: int
    shots: int | None
    seed: int
    split_origin: str
    train_ids: list[str]
    train_targets: list[float]
    backbone: str
    fingerprint: str
    kind: Literal["full", "adapter"]
    layers: Layers
    skipped: dict[str, str] = field(default_factory=dict)
    weighting: Weighting = "amc"
    made_with: str = ""

    def __repr__(self) -> str:
        heaviest = sorted(self.modules, key=lambda score: -score.weight)[:3]
        shown = ", ".join(f"{shorten(s.module, 30)} {weight_text(s.weight)}" for s in heaviest if s.weight)
        sizes = f"of {count(len(self.modules), 'module')}, K = {self.k}, T = {self.temperature:g}"
        return brief(self, f"{shorten(self.task, 40)}: {shown} {sizes}")

    def _repr_html_(self) -> str:
        from moma_app.amc.display import result_html

        return result_html(self)

    @cached_property
    def weights(self) -> dict[str, float]:
        """Composition weights by module name."""
        return {score.module: score.weight for score in self.modules}

    @cached_property
    def mergeable(self) -> bool:
        """Whether the parameters of the modules that carry weight can be averaged."""
        return bool(self.fingerprint) or sum(score.weight > 0 for score in self.modules) == 1

    @cached_property
    def best_single(self) -> ModuleScore:
        """The module with the lowest proxy error."""
        return min(self.modules, key=lambda score: score.proxy_mae)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {"format": FORMAT, **asdict(self)}

    def to_json(self) -> str:
        """Serialise; :meth:`from_json` gives an equal object."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "the AMC result") -> AMCResult:
        """Read what :meth:`to_json` wrote.

        Raises:
            DamagedFileError: not JSON, another format, or a missing or unknown field.
        """
        try:
            return cls.from_dict(json.loads(text), where)
        except ValueError as exc:
            raise DamagedFileError(f"{where} cannot be read: {exc}.") from exc

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the AMC result") -> AMCResult:
        """Rebuild a result from :meth:`to_dict`.

        Raises:
            DamagedFileError: another format, or a missing or unknown field.
        """
        try:
            values = dict(data)
            if values.pop("format") != FORMAT:
                raise DamagedFileError(f"{where} was written by another version of moma-app.")
            values["modules"] = [ModuleScore(**score) for score in values["modules"]]
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise DamagedFileError(f"{where} cannot be read: {exc}.") from exc

    def to_dataframe(self) -> pd.DataFrame:
        """Return the table of modules: weight, proxy errors, best weight first.

        The frame's ``attrs`` have ``task``, ``property`` and ``unit``, those of the downstream task.
        """
        import pandas as pd

        rows = [
            {
                "module": score.module,
                "property": score.property,
                "weight": score.weight,
                f"proxy MAE ({self.unit})" if self.unit else "proxy MAE": score.proxy_mae,
                "proxy MAE (std)": score.proxy_mae_standardised,
            }
            for score in self.modules
        ]
        table = pd.DataFrame(rows).sort_values("weight", ascending=False, ignore_index=True)
        table.attrs = {"task": self.task, "property": self.property, "unit": self.unit}
        return table
