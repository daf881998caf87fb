"""Predictions of many structures as a data frame: with units and uncertainties, ranked if asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import InputError, StructureRefusedError
from moma_app.formulas import reduced_formula
from moma_app.hub.hub import Hub
from moma_app.progress import Listener, silent
from moma_app.tasks.any_structures import named_structures
from moma_app.tasks.structure_files import NamedStructure
from moma_app.training.hub_predictions import predict_with_hub
from moma_app.training.predictor import Predictor

if TYPE_CHECKING:
    import pandas as pd

Best = Literal["lowest", "highest"]


def predict(
    structures: Any,
    predictor: Predictor | Hub | str | Path,
    *,
    labels: Iterable[Any] | None = None,
    modules: Sequence[str] | None = None,
    best: Best | None = None,
    device: str = "auto",
    progress: Listener = silent,
) -> pd.DataFrame:
    """Predict properties of structures, and return them as a table, the best first if asked.

    Args:
        structures: one or several: pymatgen or ASE objects, ``Crystal``, files, folders of files.
        predictor: a predictor, the folder of one, or a hub: then each module that has a head predicts its
            own property.
        labels: what the structures are called; by default files' names, the index of a Series, or positions.
        modules: of a hub; by default all.
        best: ``lowest`` or ``highest`` ranks the structures by their prediction (of each property).
        device: where to compute.
        progress: listener.

    Returns:
        A line for each structure (and module): ``structure``, ``formula``, ``n_atoms``, ``property``,
        ``prediction``, ``std`` (missing where a predictor gives none), ``unit``, ``test_mae``, and of a hub
        ``module``. A frame of one property has ``property`` and ``unit`` in its ``attrs``.

    Raises:
        InputError: a structure cannot be used; the message names it.
        IncompatibleError: the predictor was made with other weights of the backbone.
    """
    import pandas as pd

    if best not in (None, "lowest", "highest"):
        raise InputError(f"best is lowest or highest, not {best!r}.")
    named = named_structures(structures, labels)
    if not named:
        raise InputError("There is no structure to predict.")
    crystals = [each.crystal for each in named]
    try:
        if isinstance(predictor, Hub):
            found = predict_with_hub(
                predictor,
                crystals,
                modules=None if modules is None else list(modules),
                device=device,
                progress=progress,
            )
            parts = [
                _lines(
                    named,
                    property=each.property,
                    unit=each.unit,
                    values=each.values,
                    test_mae=each.test_mae,
                    module=each.module,
                )
                for each in found
            ]
        else:
            parts = [_by_predictor(named, predictor, device, progress)]
    except StructureRefusedError as exc:
        raise InputError(f"{named[exc.position].label}: {exc.reason}") from exc
    table = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    if best is not None:
        keys = ["property", "prediction"] if len(parts) > 1 else ["prediction"]
        ascending = [True] * (len(keys) - 1) + [best == "lowest"]
        table = table.sort_values(keys, ascending=ascending, kind="stable", ignore_index=True)
    if len(parts) == 1:
        table.attrs = {name: str(table[name].iloc[0]) for name in ("property", "unit")}
    return table


def _by_predictor(
    named: Sequence[NamedStructure], given: Predictor | str | Path, device: str, progress: Listener
) -> dict[str, Any]:
    predictor = given if isinstance(given, Predictor) else Predictor.load(given)
    predicted = predictor.predict([each.crystal for each in named], device=device, progress=progress)
    target = predictor.info.target
    mae = predictor.info.metrics.get("mae")
    return _lines(
        named,
        property=target.property,
        unit=predicted.unit,
        values=predicted.values,
        std=predicted.std,
        test_mae=mae,
    )


def _lines(
    named: Sequence[NamedStructure],
    *,
    property: str,  # noqa: A002 - what materials scientists call it
    unit: str,
    values: NDArray[np.float64],
    test_mae: float | None,
    std: NDArray[np.float64] | None = None,
    module: str | None = None,
) -> dict[str, Any]:
    lines: dict[str, Any] = {
        "structure": [each.label for each in named],
        "formula": [reduced_formula(each.crystal.numbers.tolist()) for each in named],
        "n_atoms": [len(each.crystal) for each in named],
        "property": property,
        "prediction": values,
        "std": float("nan") if std is None else std,
        "unit": unit,
        "test_mae": float("nan") if test_mae is None else test_mae,
    }
    return lines if module is None else {**lines, "module": module}
