"""From crystal embeddings to predictions: a trained head, or a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moma_app.progress import Listener, silent
from moma_app.training.model import Head, TargetScale
from moma_app.training.robust_gp import GaussianProcess, Noise, fit_gaussian_process
from moma_app.training.settings import HeadConfig

Floats = NDArray[np.float64]
NORMAL_90 = 1.6448536269514722
"""Half width of the central 90% interval of a standard normal."""
FEW = 20
"""With fewer validation rows a quantile of their errors is too uncertain to calibrate with."""


class Readout(Protocol):
    """Maps embeddings to predictions in the task's unit."""

    def predict(self, embeddings: Tensor) -> tuple[Floats, Floats | None]:
        """Return values [n] and, where known, standard deviations [n]; embeddings are [n, d]."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what must be saved, as tensors."""

    def config(self) -> dict[str, Any]:
        """Return what must be saved, as plain values."""


@dataclass(frozen=True)
class HeadReadout:
    """A trained head and the scale of its targets."""

    head: Head
    scale: TargetScale

    def predict(self, embeddings: Tensor) -> tuple[Floats, None]:
        """Return values [n] (class indices for a classification); there is no uncertainty."""
        with torch.inference_mode():
            outputs = self.head.cpu().eval()(embeddings)
        if outputs.shape[1] > 1:
            return outputs.argmax(1).double().numpy(), None
        return self.scale.restore(outputs[:, 0].double()).numpy(), None

    def tensors(self) -> dict[str, Tensor]:
        """Return the head's tensors."""
        return dict(self.head.state_dict())

    def config(self) -> dict[str, Any]:
        """Return the head's shape and the target's scale."""
        return {
            "type": "head",
            "head": self.head.config.to_dict(),
            "width": len(self.head.mean),
            "mean": self.scale.mean,
            "std": self.scale.std,
        }


@dataclass(frozen=True)
class GaussianReadout:
    """A Gaussian process on standardised embeddings.

    Attributes:
        process: on standardised inputs and targets.
        center, spread: of the training embeddings, [d]; a feature counts the more, the smaller its
            spread is said to be.
        scale: of the training targets.
        noise: noise model.
        calibration: factor on standard deviations that gives 90% intervals their coverage on
            the validation rows.
    """

    process: GaussianProcess
    center: Floats
    spread: Floats
    scale: TargetScale
    noise: Noise
    calibration: float

    def predict(self, embeddings: Tensor) -> tuple[Floats, Floats]:
        """Return values [n] and standard deviations [n]."""
        mean, deviation = self.process.predict(self._inputs(embeddings))
        return mean * self.scale.std + self.scale.mean, deviation * self.scale.std * self.calibration

    def _inputs(self, embeddings: Tensor) -> Floats:
        return standardise(embeddings.double().numpy(), self.center, self.spread)

    def tensors(self) -> dict[str, Tensor]:
        """Return the training rows in standardised form, and their noise."""
        return {
            "inputs": torch.from_numpy(self.process.inputs.astype(np.float32)),
            "targets": torch.from_numpy(self.process.targets),
            "noise": torch.from_numpy(self.process.noise),
            "center": torch.from_numpy(self.center),
            "spread": torch.from_numpy(self.spread),
        }

    def config(self) -> dict[str, Any]:
        """Return hyper-parameters."""
        return {
            "type": "gaussian-process",
            "noise": self.noise,
            "amplitude": self.process.amplitude,
            "length": self.process.length,
            "typical_noise": self.process.typical_noise,
            "calibration": self.calibration,
            "mean": self.scale.mean,
            "std": self.scale.std,
        }


def standardise(embeddings: Floats, center: Floats, spread: Floats) -> Floats:
    """Give every feature zero mean and unit variance, and divide by the root of their number."""
    result: Floats = (embeddings - center) / spread / np.sqrt(len(center))
    return result


def fit_gaussian_readout(
    train: Tensor,
    train_targets: Floats,
    val: Tensor,
    val_targets: Floats,
    progress: Listener = silent,
    *,
    importance: Floats | None = None,
) -> tuple[GaussianReadout, dict[str, float]]:
    """Fit processes with Gaussian and Student-t noise and keep the better one on validation rows.

    Args:
        train: embeddings [m, d].
        train_targets: in the task's unit, [m].
        val, val_targets: validation rows.
        progress: gets a ``Step`` after each step of the search.
        importance: share of each feature in a squared distance, mean 1, [d]; all alike by default.

    Returns:
        The readout, and the validation MAE of each noise model in the task's unit.
    """
    features = train.double().numpy()
    center, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-6 * max(float(spread.max()), 1e-6), spread, np.inf)
    if importance is not None:
        spread = spread / np.sqrt(importance)
    scale = TargetScale.of(torch.from_numpy(train_targets))
    # float32, as they will be saved: a loaded predictor then gives the very same numbers
    inputs = standardise(features, center, spread).astype(np.float32).astype(np.float64)
    standardised = (train_targets - scale.mean) / scale.std
    candidates: dict[str, GaussianReadout] = {}
    errors: dict[str, float] = {}
    noises: tuple[Noise, ...] = ("gaussian", "student-t")
    for noise in noises:
        process = fit_gaussian_process(inputs, standardised, noise, progress)
        readout = GaussianReadout(process, center, spread, scale, noise, calibration=1.0)
        candidates[noise] = readout
        errors[noise] = float(np.abs(readout.predict(val)[0] - val_targets).mean())
    best = candidates[min(errors, key=lambda name: errors[name])]
    values, deviations = best.predict(val)
    factor = calibration(np.abs(values - val_targets) / deviations)
    calibrated = GaussianReadout(best.process, center, spread, scale, best.noise, factor)
    return calibrated, errors


def calibration(ratios: Floats) -> float:
    """Return the factor on standard deviations for which 90% of new rows are covered.

    Split-conformal (Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018)) on the ratios [n] of error
    to standard deviation; 1 where there are too few rows to tell.
    """
    n = len(ratios)
    if n < FEW:
        return 1.0
    level = min(1.0, np.ceil((n + 1) * 0.9) / n)
    return float(np.quantile(ratios, level, method="higher")) / NORMAL_90


def coverage(values: Floats, deviations: Floats, targets: Floats) -> float:
    """Return the share of targets inside the 90% intervals."""
    return float(np.mean(np.abs(values - targets) <= NORMAL_90 * deviations))


def readout_from(config: dict[str, Any], tensors: dict[str, Tensor]) -> Readout:
    """Rebuild a readout from what was saved.

    Raises:
        KeyError, TypeError, RuntimeError: a part is missing or does not fit.
    """
    scale = TargetScale(config["mean"], config["std"])
    if config["type"] == "head":
        head = Head(config["width"], HeadConfig(**config["head"]))
        head.load_state_dict(tensors, strict=True)
        return HeadReadout(head.eval(), scale)
    if config["type"] != "gaussian-process":
        raise KeyError(f"unknown readout {config['type']!r}")
    arrays = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    process = GaussianProcess(
        arrays["inputs"],
        arrays["targets"],
        config["amplitude"],
        config["length"],
        arrays["noise"],
        config["typical_noise"],
    )
    return GaussianReadout(
        process, arrays["center"], arrays["spread"], scale, config["noise"], config["calibration"]
    )
