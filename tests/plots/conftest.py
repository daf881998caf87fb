"""Realistic results, made up: the figures and reports need no trained network."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from moma_app.amc.result import AMCResult, ModuleScore
from moma_app.training.outcome import Curve, FitReport

SYMBOLS = ["Li", "Be", "B", "C", "Na", "Mg", "Al", "Si", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn"]
NAMES = ["mp_kvrh", "mp_gvrh", "castelli_eform", "mp_bandgap"]
PROPERTIES = {
    "mp_kvrh": ("log10 bulk modulus", "log10(GPa)"),
    "mp_gvrh": ("log10 shear modulus", "log10(GPa)"),
    "castelli_eform": ("formation energy", "eV/atom"),
    "mp_bandgap": ("band gap", "eV"),
}
UNIT = "log10(GPa)"
PROPERTY = "bulk modulus"


def make_result(n_modules: int = 4, n_weighted: int = 2, m: int = 49) -> AMCResult:
    rng = np.random.default_rng(n_modules)
    names = [NAMES[i] if i < 4 else f"jarvis_property_{i:03d}" for i in range(n_modules)]
    raw = np.zeros(n_modules)
    raw[: min(n_weighted, n_modules)] = np.sort(rng.uniform(0.1, 1, min(n_weighted, n_modules)))[::-1]
    weights = raw / raw.sum()
    targets = rng.normal(1.9, 0.6, m)
    modules = []
    for name, weight in zip(names, weights, strict=True):
        scatter = rng.uniform(0.15, 0.5) if weight == 0 else rng.uniform(0.08, 0.15)
        predictions = targets + rng.normal(0, scatter, m)
        mae = float(np.abs(predictions - targets).mean())
        mse = float(((predictions - targets) ** 2).mean())
        prop, unit = PROPERTIES.get(name, ("effective mass of electrons", ""))
        modules.append(
            ModuleScore(
                module=name,
                task=name,
                property=prop,
                unit=unit,
                weight=float(weight),
                proxy_mae=mae,
                proxy_mae_standardised=mae / targets.std(),
                proxy_mse_standardised=mse / targets.var(),
                predictions=predictions.tolist(),
                sha256=f"{rng.integers(2**60):064x}"[::-1],
                version="1.0.0",
                seconds=1.3,
            )
        )
    return AMCResult(
        task="elemental_bulk_modulus",
        property=PROPERTY,
        unit=UNIT,
        modules=modules,
        objective=0.0831,
        status="optimal",
        k=5,
        temperature=0.2,
        split=0,
        shots=None,
        seed=0,
        split_origin="random",
        train_ids=[f"dcdft-{SYMBOLS[i % 15]}-{i}" for i in range(m)],
        train_targets=targets.tolist(),
        backbone="chgnet",
        fingerprint="7bbe2c1f0d5a4e9388aa",
        kind="full",
        layers="all",
        made_with="0.1.0",
    )


def make_fit(
    label: str = "composed module",
    start: str = "composed",
    noise: float = 0.06,
    n: int = 11,
    seed: int = 0,
    *,
    std: bool = False,
    curve: bool = True,
) -> FitReport:
    rng = np.random.default_rng(7)
    targets = rng.normal(1.9, 0.6, n)
    errors = np.random.default_rng([seed, len(label)]).normal(0, noise, n)
    predicted = targets + errors
    epochs = list(range(1, 41))
    rng = np.random.default_rng([11, len(label)])
    val = [0.05 + noise + 0.5 * math.exp(-e / 7) + 0.01 * float(rng.normal()) for e in epochs]
    train = [0.02 + 0.1 * noise + 0.6 * math.exp(-e / 6) + 0.005 * abs(float(rng.normal())) for e in epochs]
    return FitReport(
        label=label,
        start=start,
        task="elemental_bulk_modulus",
        property=PROPERTY,
        unit=UNIT,
        split=0,
        shots=None,
        seed=seed,
        metrics={
            "mae": float(np.abs(errors).mean()),
            "rmse": float(np.sqrt((errors**2).mean())),
            "r2": float(1 - (errors**2).sum() / ((targets - targets.mean()) ** 2).sum()),
            "mad": float(np.abs(targets - targets.mean()).mean()),
            "n": n,
            **({"coverage90": 0.91} if std else {}),
        },
        ids=[f"dcdft-{SYMBOLS[i % 15]}-{i}" for i in range(n)],
        targets=targets.tolist(),
        predicted=predicted.tolist(),
        std=(noise * rng.uniform(0.5, 1.5, n)).tolist() if std else None,
        curve=Curve(epochs, train, val, [3e-4] * 40) if curve else None,
        best_epoch=epochs[int(np.argmin(val))] if curve else None,
        seconds=48.2,
        hardware="CPU (2 cores)",
        config={"learning_rate": 3e-4, "batch_size": 16, "epochs": 40, "seed": seed},
    )


def make_classification(label: str = "composed module") -> FitReport:
    rng = np.random.default_rng(3)
    true = rng.integers(0, 2, 60)
    predicted = np.where(rng.random(60) < 0.85, true, 1 - true)
    return FitReport(
        label=label,
        start="composed",
        task="is_metal",
        property="metallicity",
        unit="",
        split=0,
        shots=None,
        seed=0,
        metrics={"accuracy": float((true == predicted).mean()), "macro_f1": 0.84, "n": 60},
        ids=[f"mp-{i}" for i in range(60)],
        targets=true.astype(float).tolist(),
        predicted=predicted.astype(float).tolist(),
        curve=Curve([1, 2, 3], [0.7, 0.5, 0.4], [0.7, 0.6, 0.5], [1e-3] * 3),
        best_epoch=3,
        seconds=12.0,
        hardware="CPU",
    )


@pytest.fixture
def result() -> AMCResult:
    return make_result()


@pytest.fixture
def fits() -> list[FitReport]:
    return [make_fit(), make_fit("bare backbone", "backbone", 0.09)]


@pytest.fixture(scope="session")
def result_of() -> Callable[..., AMCResult]:
    return make_result


@pytest.fixture(scope="session")
def fit_of() -> Callable[..., FitReport]:
    return make_fit


@pytest.fixture(scope="session")
def classification_of() -> Callable[..., FitReport]:
    return make_classification
