"""Modules for tests: small ones of random tensors, and real ones that networks can run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from moma_app.backbones import cgcnn
from moma_app.backbones.adapters import adapter_state, attach_adapters
from moma_app.backbones.registry import get_backbone
from moma_app.hub.card import Card, Data, Target
from moma_app.hub.module import PREFIX, Module
from moma_app.hub.moe18 import NAMES as EXTRACTORS


def make_card(name: str = "mp_kvrh", **changes: Any) -> Card:
    """A card with everything that is required and nothing more."""
    values: dict[str, Any] = {
        "name": name,
        "backbone": "chgnet",
        "fingerprint": "0123456789abcdef",
        "kind": "full",
        "layers": "all",
        "target": Target(task=name, property=f"property of {name}", unit="log10(GPa)"),
        "data": Data(source="matminer", rows_train=70, rows_val=15, rows_test=15, hash="0" * 64),
        "created": "2026-01-02T03:04:05Z",
        "made_with": "moma-app 0.1.0",
    }
    return Card(**{**values, **changes})


def small_state(seed: int = 0, kind: str = "full") -> dict[str, Tensor]:
    """A few random tensors, named as in a module's file."""
    random = torch.Generator().manual_seed(seed)
    prefix = PREFIX[kind]
    return {
        f"{prefix}weight": torch.randn(4, 3, generator=random),
        f"{prefix}bias": torch.randn(3, generator=random),
        f"{prefix}running_mean": torch.randn(3, generator=random),
        "head.weight": torch.randn(1, 3, generator=random),
    }


def make_module(name: str = "mp_kvrh", state: dict[str, Tensor] | None = None, **changes: Any) -> Module:
    """A module in memory; ``changes`` are to its card."""
    card = make_card(name, **changes)
    return Module(card, memory=small_state(kind=card.kind) if state is None else state)


def real_module(
    name: str, seed: int, kind: str = "full", backbone: str = "cgcnn", noise: float = 0.1, **changes: Any
) -> Module:
    """A module that a network can run: the backbone's own weights, moved at random by ``seed``."""
    origin = get_backbone(backbone)
    network = origin.pretrained()
    if kind == "adapter":
        attach_adapters(network, origin.info.width, origin.info.n_layers)
    random = torch.Generator().manual_seed(seed)
    tensors = adapter_state(network) if kind == "adapter" else network.state()
    prefix = "" if kind == "adapter" else PREFIX["full"]
    state = {
        prefix + key: tensor + noise * tensor.std().nan_to_num() * torch.randn(tensor.shape, generator=random)
        if tensor.is_floating_point() and "running" not in key
        else tensor.clone()
        for key, tensor in tensors.items()
    }
    values = {"backbone": backbone, "fingerprint": origin.fingerprint, "kind": kind, "layers": "all"}
    return make_module(name, state, **{**values, **changes})


def with_head(module: Module, seed: int = 0, outputs: int = 1) -> Module:
    """The module with an untrained head, whose scaler is made up too."""
    from moma_app.hub.card import HeadInfo
    from moma_app.training.model import Head
    from moma_app.training.settings import HeadConfig

    config = HeadConfig(outputs=outputs)
    torch.manual_seed(seed)
    head = Head(get_backbone(module.card.backbone).feature_width(module.card.layers), config)
    head.fit_scaler(torch.randn(50, len(head.mean)) + 3)
    state = {f"head.{key}": tensor.clone() for key, tensor in head.state_dict().items()}
    info = HeadInfo(config=config.to_dict(), mean=1.5, std=0.3)
    return Module(module.card.model_copy(update={"head": info}), memory={**module.memory, **state})


def independent_module(name: str, seed: int, **changes: Any) -> Module:
    """A CGCNN module whose network was initialised by ``seed`` and has nothing in common with another's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = cgcnn.CgcnnNetwork().state()
    tensors = {f"{PREFIX['full']}{key}": tensor for key, tensor in state.items()}
    values = {"backbone": "cgcnn", "fingerprint": "", "kind": "full", "layers": "last-softplus"}
    return make_module(name, tensors, **{**values, **changes})


def extractor_folder(folder: Path) -> Path:
    """A folder as that of the 18 extractors, with random networks."""
    folder.mkdir(parents=True)
    counters = {
        f"convs.{i}.{norm}.num_batches_tracked": torch.tensor(7) for i in range(4) for norm in ("bn1", "bn2")
    }
    index = {}
    for seed, name in enumerate(sorted(EXTRACTORS)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            state = {**cgcnn.CgcnnNetwork().state_dict(), **cgcnn.ExtractorHead().state_dict()}
        save_file({**state, **counters}, folder / f"{name}.safetensors")
        index[name] = {
            "file": f"2022-01-{seed + 1:02}-15:48_singletask_best_model.pth.tar",
            "epoch": 900 + seed,
            "best_val_mae": 0.01 * (seed + 1),
            "normalizer": {"mean": -1.5 + seed, "std": 1.0 + seed},
            "weighted_sampling": None,
            "train_ratio": 0.6,
        }
    (folder / "index.json").write_text(json.dumps(index))
    return folder
