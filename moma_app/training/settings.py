"""Settings of a fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from moma_app.choices import HeadPooling, Precision, precision_setting

Trainable = Literal["full", "adapter", "last", "head"]
Loss = Literal["mae", "huber", "cross-entropy"]
Activation = Literal["silu", "softplus"]


@dataclass(frozen=True)
class FitConfig:
    """How a model is trained.

    Attributes:
        epochs: upper limit.
        learning_rate: peak rate of the backbone or adapters.
        head_learning_rate: peak rate of the head while it trains alone, see ``head_epochs``, and
            in the fit itself where it does not.
        joint_head_learning_rate: of the head together with the backbone after it trained alone.
        head_epochs: epochs of the head alone on frozen features before the fit; 0 for none.
        layer_decay: each interaction layer's rate as a share of that of the layer above it; 1 gives all
            layers the same (Howard and Ruder, ACL 2018, arXiv 1801.06146).
        batch_size: structures in a step, at most.
        batch_edges: edges in a step, at most, so that steps of small cells and of large ones cost the
            same; ``None`` for no limit.
        min_batches: steps that an epoch has at least, if batches of four allow it.
        weight_decay: AdamW's, on matrices only.
        warmup: share of all steps with a rising learning rate.
        final_fraction: share of the peak rate that the cosine ends at.
        plateau_patience: epochs without improvement before the rate is halved.
        early_stopping: epochs without improvement before the fit ends.
        ema_decay: of the exponential moving average whose weights are validated and kept; it
            starts lower and rises with the steps.
        gradient_clip: largest norm of the gradient.
        trainable: all weights, adapters and head, the last interaction layer and head, or the head
            alone; what lies below ``last`` and ``head`` is computed once, before the fit.
        loss: on the standardised scale.
        precision: arithmetic on a CUDA GPU, by default what the settings say (``MOMA_PRECISION``);
            a CPU always uses fp32.
        seed: of weights, order of batches and dropout.
    """

    epochs: int = 60
    learning_rate: float = 5e-4
    head_learning_rate: float = 2e-3
    joint_head_learning_rate: float = 5e-4
    head_epochs: int = 0
    layer_decay: float = 1.0
    batch_size: int = 32
    batch_edges: int | None = None
    min_batches: int = 8
    weight_decay: float = 1e-2
    warmup: float = 0.05
    final_fraction: float = 0.01
    plateau_patience: int = 5
    early_stopping: int = 10
    ema_decay: float = 0.99
    gradient_clip: float = 1.0
    trainable: Trainable = "full"
    loss: Loss = "mae"
    precision: Precision = field(default_factory=precision_setting)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True)
class HeadConfig:
    """Shape of a head.

    Attributes:
        hidden: width of the hidden layers.
        depth: number of hidden layers.
        dropout: share of hidden values that are dropped in training.
        outputs: 1 for a property, the number of classes for a classification.
        pooling: how a crystal's atoms become the head's input: their mean (their sum for a property that
            grows with the cell), their maximum, or a mean weighted by learned attention.
        activation: between the layers.
    """

    hidden: int = 128
    depth: int = 1
    dropout: float = 0.0
    outputs: int = 1
    pooling: HeadPooling = "mean"
    activation: Activation = "silu"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form.

        The usual activation is not named: fits of the time before there was another are equal work.
        """
        given = asdict(self)
        if self.activation == "silu":
            del given["activation"]
        return given
