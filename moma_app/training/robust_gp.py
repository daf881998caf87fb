"""Gaussian-process regression whose noise is Gaussian or Student-t, on scikit-learn's.

Databases of computed and measured properties hold outliers. A Gaussian noise model lets a few
of them dictate the kernel; with Student-t noise each row has its own noise variance, found by
expectation-maximisation (Lange, Little & Taylor, J. Am. Stat. Assoc. 84, 881 (1989)).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.optimize import minimize

from moma_app.progress import Listener, Step, silent

Floats = NDArray[np.float64]
Noise = Literal["gaussian", "student-t"]

DEGREES = 4.0
"""Degrees of freedom of the Student-t noise."""
ROUNDS = 10
"""Rounds of expectation-maximisation; the kernel is optimised again in each."""
STEPS, STEPS_OF_A_ROUND = 60, 5
"""Of the search for the kernel at most; a few are enough where the next round starts from their end."""
LENGTH_BOUNDS = (1e-2, 1e2)
AMPLITUDE_BOUNDS = (1e-2, 1e4)


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process on inputs [m, d] and targets [m], both standardised.

    Attributes:
        inputs, targets: training rows.
        amplitude: signal variance.
        length: length scale of the Matérn 3/2 kernel.
        noise: noise variance of each training row, [m].
        typical_noise: noise variance of a new row.
    """

    inputs: Floats
    targets: Floats
    amplitude: float
    length: float
    noise: Floats
    typical_noise: float

    def predict(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Return mean and standard deviation (noise included) at new inputs [n, d]: [n], [n]."""
        process = self._regressor()
        mean, deviation = process.predict(inputs, return_std=True)
        return mean, np.sqrt(deviation**2 + self.typical_noise)

    def leave_one_out(self) -> Floats:
        """Return the residual of each training row when it is left out, [m].

        Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), Eq. 5.12.
        """
        process = self._regressor()
        residuals: Floats = process.alpha_ / _inverse_diagonal(process)
        return residuals

    def _regressor(self) -> Any:
        return _regressor(self.amplitude, self.length, self.noise).fit(self.inputs, self.targets)


def fit_gaussian_process(
    inputs: Floats, targets: Floats, noise: Noise, progress: Listener = silent
) -> GaussianProcess:
    """Fit kernel and noise by marginal likelihood.

    Args:
        inputs: standardised features divided by the root of their number, [m, d].
        targets: standardised, [m].
        noise: ``gaussian``: one variance for all rows; ``student-t``: robust to outliers.
        progress: gets a ``Step`` after each step of the search, of as many as there may be.
    """
    search = _Search(noise, progress)
    if noise == "gaussian":
        return _fit_gaussian(inputs, targets, search)
    variance, weights = 0.1, np.ones(len(targets))
    amplitude, length = 1.0, 1.0
    for _ in range(ROUNDS):
        process = _regressor(amplitude, length, variance / weights, search).fit(inputs, targets)
        amplitude = float(process.kernel_.k1.constant_value)
        length = float(process.kernel_.k2.length_scale)
        # E-step: expected squared residual of the latent function; M-step: weights and variance.
        row_noise = variance / weights
        residual = process.alpha_ * row_noise
        expected = residual**2 + row_noise - row_noise**2 * _inverse_diagonal(process)
        weights = (DEGREES + 1) / (DEGREES + expected / variance)
        variance = max(float(np.mean(weights * expected)), 1e-6)
    return GaussianProcess(inputs, targets, amplitude, length, variance / weights, variance)


class _Search:
    """Minimises for scikit-learn, and tells of each step; what it raises then ends the search."""

    def __init__(self, noise: Noise, progress: Listener) -> None:
        self.what = f"Gaussian process, {noise} noise"
        self.steps = STEPS if noise == "gaussian" else STEPS_OF_A_ROUND
        self.total = STEPS if noise == "gaussian" else ROUNDS * STEPS_OF_A_ROUND
        self.done = 0
        self.progress = progress

    def __call__(self, objective: Any, start: Floats, bounds: Floats) -> tuple[Floats, float]:
        found = minimize(
            objective,
            start,
            method="L-BFGS-B",
            jac=True,
            bounds=bounds,
            callback=self._tell,
            options={"maxiter": self.steps},
        )
        return found.x, float(found.fun)

    def _tell(self, _: Floats) -> None:
        self.done = min(self.done + 1, self.total)
        self.progress(Step(what=self.what, done=self.done, total=self.total, fraction=self.done / self.total))


def _fit_gaussian(inputs: Floats, targets: Floats, search: _Search) -> GaussianProcess:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0, AMPLITUDE_BOUNDS) * Matern(1.0, LENGTH_BOUNDS, nu=1.5) + WhiteKernel(
        1e-2, (1e-6, 1e1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hyper-parameter at its bound is no fault
        process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=search).fit(inputs, targets)
    fitted = process.kernel_
    noise = float(fitted.k2.noise_level)
    return GaussianProcess(
        inputs,
        targets,
        float(fitted.k1.k1.constant_value),
        float(fitted.k1.k2.length_scale),
        np.full(len(targets), noise),
        noise,
    )


def _regressor(amplitude: float, length: float, noise: Floats, search: _Search | None = None) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    kernel = ConstantKernel(amplitude, AMPLITUDE_BOUNDS) * Matern(length, LENGTH_BOUNDS, nu=1.5)
    return GaussianProcessRegressor(kernel, alpha=noise, optimizer=search)


def _inverse_diagonal(process: Any) -> Floats:
    """Return the diagonal of the inverse kernel matrix, [m]."""
    inverse = cho_solve((process.L_, True), np.eye(len(process.L_)), check_finite=False)
    diagonal: Floats = np.diag(inverse).copy()
    return diagonal
