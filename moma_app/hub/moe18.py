"""The 18 CGCNN extractors of Chang et al. (2022) as modules.

A folder holds ``index.json``, which names each extractor's property, normaliser and validation error,
and ``<property>.safetensors`` for each, with the tensors of the authors' checkpoint under their own
names (github.com/rees-c/MoE, MIT License). Each was trained from random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from moma_app import __version__
from moma_app.backbones.cgcnn import HEAD_WIDTH, WIDTH, convert_state
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.hub.card import Card, Data, HeadInfo, Metrics
from moma_app.hub.module import HEAD, PREFIX, Module
from moma_app.hub.opening import open_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from moma_app.hub.importing import TargetOf

NAMES = frozenset(
    {
        "mp_eform",
        "mp_bandgap",
        "mp_gvrh",
        "mp_kvrh",
        "n_e_cond",
        "p_e_cond",
        "n_th_cond",
        "p_th_cond",
        "n_Seebeck",
        "p_Seebeck",
        "n_avg_eff_mass",
        "p_avg_eff_mass",
        "castelli_eform",
        "jarvis_eform",
        "jarvis_dielectric_opt",
        "jarvis_bandgap",
        "jarvis_gvrh",
        "jarvis_kvrh",
    }
)
"""The extractors, by the names of the tasks that they were trained for."""
INDEX = "index.json"
CITATION = "Chang et al., npj Comput. Mater. 8, 242 (2022), doi:10.1038/s41524-022-00929-x"
NOTE = (
    "Trained by Chang et al. from an initialisation of its own: its parameters cannot be averaged with "
    "those of another module. Rows and split are the authors'; which ones is not known here."
)


class _Known(BaseModel):
    """What is read of the index; it may say more."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Normaliser(_Known):
    mean: FiniteFloat
    std: Annotated[FiniteFloat, Field(gt=0)]
    right_skewed: Annotated[float, Field(ge=0, le=0)] = 0.0  # of any other the inverse is not known here
    left_skewed: Annotated[float, Field(ge=0, le=0)] = 0.0


class _Entry(_Known):
    file: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}")]
    epoch: Annotated[int, Field(ge=0)]
    best_val_mae: Annotated[FiniteFloat, Field(gt=0)]
    normalizer: _Normaliser
    weighted_sampling: bool | None = None
    train_ratio: Annotated[float, Field(gt=0, le=1)] | None = None


def read_moe18(folder: Path, target_of: TargetOf) -> list[Module]:
    """Read all 18 extractors, every file of them checked.

    Args:
        folder: of the index and the tensor files.
        target_of: gives what is known of a task's target.

    Returns:
        Modules in memory, by name.

    Raises:
        InputError: the folder is none of these extractors, or lacks or has files that it should not.
        DamagedFileError: the index or a tensor file cannot be read, or holds what is no number.
        IncompatibleError: a file's tensors are not those of a CGCNN extractor.
    """
    entries = _read_index(folder)
    return [
        _module(folder / f"{name}.safetensors", name, entry, target_of) for name, entry in entries.items()
    ]


def _read_index(folder: Path) -> dict[str, _Entry]:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(f"{folder} does not hold the 18 extractors of Chang et al.: it has no {INDEX}.")
    try:
        entries = TypeAdapter(dict[str, _Entry]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise DamagedFileError(f"{path} cannot be read: {_first_problem(exc)}.") from exc
    stems = {file.stem for file in folder.glob("*.safetensors")}
    for what, wrong in (
        (f"{INDEX} lacks", NAMES - entries.keys()),
        (f"{INDEX} names the unknown", entries.keys() - NAMES),
        ("there is no tensor file of", NAMES - stems),
        ("there is a tensor file of the unknown", stems - NAMES),
    ):
        if wrong:
            raise InputError(
                f"{folder} does not hold the 18 extractors of Chang et al.: {what} {', '.join(sorted(wrong))}."
            )
    return dict(sorted(entries.items()))


def _first_problem(exc: OSError | ValidationError) -> str:
    if isinstance(exc, OSError):
        return str(exc.strerror)
    first = exc.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def _module(path: Path, name: str, entry: _Entry, target_of: TargetOf) -> Module:
    tensors = _read_tensors(path)
    card = Card(
        name=name,
        backbone="cgcnn",
        fingerprint="",
        kind="full",
        layers="last-softplus",
        target=target_of(name),
        data=Data(
            source="rows of the authors, github.com/rees-c/MoE",
            rows_train=None,
            rows_val=None,
            rows_test=None,
            hash="",
        ),
        metrics=Metrics(val_error=entry.best_val_mae),
        recipe={
            "name": "chang2022",
            "epoch": entry.epoch,
            "train_ratio": entry.train_ratio,
            "weighted_sampling": bool(entry.weighted_sampling),
            "checkpoint": entry.file,
        },
        head=HeadInfo(
            config={
                "hidden": HEAD_WIDTH,
                "depth": 1,
                "dropout": 0.0,
                "outputs": 1,
                "activation": "softplus",
            },
            mean=entry.normalizer.mean,
            std=entry.normalizer.std,
        ),
        licence="MIT",
        citation=CITATION,
        note=NOTE,
        created=entry.file[:10],
        made_with=f"rees-c/MoE, imported with moma-app {__version__}",
    )
    return Module(card, memory=tensors)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Return an extractor's tensors under our names."""
    file = open_tensors(path, "pt")
    try:
        network, head = convert_state({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - no mapping
    except IncompatibleError as exc:
        raise IncompatibleError(f"{path}: {exc}") from exc
    for name, tensor in {**network, **head}.items():
        if tensor.dtype != torch.float32 or not tensor.isfinite().all():
            raise DamagedFileError(f"{path}: tensor {name!r} holds what is no finite 32-bit number.")
    return {f"{PREFIX['full']}{name}": tensor for name, tensor in network.items()} | _head(head)


def _head(authors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the authors' two layers as a head that does not scale its input."""
    layers = {"layers.0": "conv_to_fc", "layers.3": "fc_out"}
    tensors = {
        f"{HEAD}{ours}.{part}": authors[f"{theirs}.{part}"]
        for ours, theirs in layers.items()
        for part in ("weight", "bias")
    }
    return tensors | {f"{HEAD}mean": torch.zeros(WIDTH), f"{HEAD}scale": torch.ones(WIDTH)}
