"""A predictor: module and readout, saved as a folder that another machine can load."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from moma_app import __version__
from moma_app.backbones.base import Network, crystal_embedding
from moma_app.backbones.inference import apply_in_batches
from moma_app.backbones.registry import get_backbone
from moma_app.choices import Layers, Pooling
from moma_app.errors import DamagedFileError, IncompatibleError, InputError
from moma_app.files import sha256_of_file
from moma_app.hub.card import Target
from moma_app.hub.mixing import count_experts, mixture_from
from moma_app.hub.module import network_from
from moma_app.progress import Listener, silent
from moma_app.runtime import pick_device
from moma_app.tasks.any_structures import structures_of
from moma_app.text import brief, count, number, one_line, shorten, with_unit_after
from moma_app.training.readout import HeadReadout, Readout, readout_from

if TYPE_CHECKING:
    import pandas as pd

CARD = "predictor.json"
TENSORS = "predictor.safetensors"
READOUT = "readout."


class PredictorInfo(BaseModel):
    """What a predictor's folder says of itself (``predictor.json``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    target: Target
    backbone: str
    fingerprint: str
    kind: Literal["full", "adapter"]
    layers: Layers
    pooling: Pooling
    readout: dict[str, Any]
    start: str = Field(description="What it was made from.")
    weights: dict[str, float] = Field(default_factory=dict, description="Composition weights by module.")
    modules: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 of the modules' tensor files by name; moma hub show explains one, also when superseded.",
    )
    experts: tuple[str, ...] = Field(
        default=(), description="Modules that stand side by side in a mixture; empty for one network."
    )
    metrics: dict[str, float] = Field(default_factory=dict, description="On the test rows, task's unit.")
    split: int = 0
    shots: int | None = None
    seed: int = 0
    data_hash: str = ""
    created: str = ""
    made_with: str = f"moma-app {__version__}"
    sha256: str = ""


@dataclass(frozen=True)
class Prediction:
    """Predictions for several structures.

    Attributes:
        values: in ``unit`` (class indices for a classification), float64 [n].
        std: standard deviations in ``unit``, float64 [n], or ``None``.
        unit: of the values, after the transform.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64] | None
    unit: str

    def __repr__(self) -> str:
        shown = ", ".join(number(float(value)) for value in self.values[:4])
        more = ", …" if len(self.values) > 4 else ""
        return brief(self, f"of {count(len(self.values), 'structure')}: {shown}{more} {self.unit}")

    def _repr_html_(self) -> str:
        from moma_app.training.display import prediction_html

        return prediction_html(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a line for each structure: ``prediction``, ``std`` (if there is one) and ``unit``."""
        import pandas as pd

        table = pd.DataFrame({"prediction": self.values})
        if self.std is not None:
            table["std"] = self.std
        table["unit"] = self.unit
        return table


@dataclass(frozen=True, eq=False)
class Predictor:
    """A module's parameters and a readout, ready to predict.

    Attributes:
        info: what it is.
        parameters: the module's tensors, named with their prefix; of a mixture those of all experts.
        readout: from embeddings to predictions.
    """

    info: PredictorInfo
    parameters: dict[str, Tensor]
    readout: Readout

    def __repr__(self) -> str:
        info, mae = self.info, self.info.metrics.get("mae")
        error = "" if mae is None else f", test MAE {with_unit_after(mae, info.target.unit)}"
        what = one_line(info.target.property, 50)
        return brief(self, f"{shorten(info.target.task, 40)}: {what}, from {shorten(info.start, 40)}{error}")

    def _repr_html_(self) -> str:
        from moma_app.training.display import predictor_html

        return predictor_html(self)

    def network(self) -> Network:
        """Return the backbone's network with the predictor's parameters.

        Raises:
            IncompatibleError: the backbone's weights on this machine are not those it was made with.
        """
        backbone = get_backbone(self.info.backbone)
        if backbone.fingerprint != self.info.fingerprint:
            raise IncompatibleError(
                f"This predictor was made with {self.info.backbone} weights {self.info.fingerprint}, but here they are "
                f"{backbone.fingerprint}: install the same backbone version."
            )
        make = mixture_from if self.info.experts else network_from
        return make(backbone, self.info.kind, self.parameters)

    def predict(self, structures: Any, *, device: str = "auto", progress: Listener = silent) -> Prediction:
        """Predict the property of one or several structures, in order; :func:`moma_app.predict` gives a table.

        Args:
            structures: pymatgen or ASE objects, ``Crystal``, or paths of files with one structure each.
            device: where to compute.
            progress: listener.

        Raises:
            InputError: a structure cannot be used; the message names its position, from 0.
            IncompatibleError: see :meth:`network`.
        """
        crystals = structures_of(structures)
        network = self.network()
        backbone = get_backbone(self.info.backbone)
        graphs = backbone.graphs(crystals, progress)
        if not len(graphs):
            raise InputError("There is no structure to predict.")
        target = pick_device(device)
        network.to(target).eval()
        gate = self.readout.head.gate if isinstance(self.readout, HeadReadout) else None
        gate = None if gate is None else gate.detach().to(target)
        embeddings = apply_in_batches(
            lambda batch: crystal_embedding(network, batch, self.info.layers, self.info.pooling, gate),
            graphs,
            device=target,
            progress=progress,
        )
        values, std = self.readout.predict(embeddings)
        return Prediction(values, std, self.info.target.unit)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the predictor to a folder; it appears wholly or not at all.

        Raises:
            InputError: the folder exists and is no predictor, or ``overwrite`` is off.
        """
        folder = Path(folder).expanduser()
        if folder.exists() and not (overwrite and (folder / CARD).is_file()):
            raise InputError(f"{folder} exists already: choose another folder, or allow overwriting.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            staged = Path(scratch) / "predictor"
            staged.mkdir()
            tensors = {name: tensor.contiguous() for name, tensor in self.parameters.items()}
            tensors |= {f"{READOUT}{name}": t.contiguous() for name, t in self.readout.tensors().items()}
            save_file(tensors, staged / TENSORS)
            info = self.info.model_copy(
                update={"readout": self.readout.config(), "sha256": sha256_of_file(staged / TENSORS)}
            )
            (staged / CARD).write_text(info.model_dump_json(indent=1) + "\n", encoding="utf-8")
            if folder.exists():
                shutil.move(folder, Path(scratch) / "old")
            staged.rename(folder)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """Read a predictor's folder.

        Raises:
            InputError: there is no predictor in that folder.
            DamagedFileError: a file is missing, cut short or changed.
        """
        folder = Path(folder).expanduser()
        card, tensor_file = folder / CARD, folder / TENSORS
        if not card.is_file():
            raise InputError(f"{folder} is no predictor: it has no {CARD}.")
        try:
            info = PredictorInfo.model_validate_json(card.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as exc:
            raise DamagedFileError(f"{card} cannot be read: {_first_problem(exc)}.") from exc
        if not tensor_file.is_file():
            raise DamagedFileError(f"The predictor {folder} lacks its file {TENSORS}.")
        if sha256_of_file(tensor_file) != info.sha256:
            raise DamagedFileError(f"{tensor_file} does not agree with the SHA-256 in {CARD}: copy it again.")
        try:
            tensors = load_file(tensor_file)
            parts = {n.removeprefix(READOUT): t for n, t in tensors.items() if n.startswith(READOUT)}
            readout = readout_from(info.readout, parts)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as exc:
            raise DamagedFileError(f"The predictor {folder} is incomplete: {exc}.") from exc
        parameters = {n: t for n, t in tensors.items() if not n.startswith(READOUT)}
        if (found := count_experts(parameters)) != len(info.experts):
            raise DamagedFileError(
                f"The predictor {folder} is incomplete: its tensors are those of {found} experts, but {CARD} names "
                f"{len(info.experts)}."
            )
        return cls(info, parameters, readout)


def _first_problem(exc: ValidationError | UnicodeDecodeError) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "it is no text file"
    first = exc.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'content'}: {first['msg']}"


def finite_metrics(metrics: dict[str, Any]) -> dict[str, float]:
    """Return metrics as plain floats, leaving out what is not defined (NaN)."""
    plain = {name: float(value) for name, value in metrics.items()}
    return {name: value for name, value in plain.items() if np.isfinite(value)}
