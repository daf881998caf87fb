"""Gaussian-process regression with a Matérn 3/2 kernel, whose noise is Gaussian or Student-t.

Databases of computed and measured properties hold outliers. A Gaussian noise model lets a few
of them dictate the kernel; with Student-t noise each row has its own noise variance, found by
expectation-maximisation (Lange, Little & Taylor, J. Am. Stat. Assoc. 84, 881 (1989)).

The distances between the rows are computed once, and every step of the search then costs one Cholesky
factor and one inverse; scikit-learn's, with the same numbers, takes the distances and a gradient of
every matrix element anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular
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
NOISE_BOUNDS = (1e-6, 1e1)
_HOPELESS = 1e25
"""Value of a kernel whose matrix is not positive definite."""


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
        solved = self._solved
        cross = self.amplitude * matern(distances(inputs, self.inputs) / self.length)
        explained = solve_triangular(solved.factor, cross.T, lower=True, check_finite=False)
        variance = np.maximum(self.amplitude - np.einsum("mn,mn->n", explained, explained), 0.0)
        return cross @ solved.alpha, np.sqrt(variance + self.typical_noise)

    def leave_one_out(self) -> Floats:
        """Return the residual of each training row when it is left out, [m].

        Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), Eq. 5.12.
        """
        residuals: Floats = self._solved.alpha / np.diag(self._solved.inverse())
        return residuals

    @cached_property
    def _solved(self) -> _Solved:
        kernel = self.amplitude * matern(distances(self.inputs, self.inputs) / self.length)
        return _Solved(kernel, self.noise, self.targets)


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
    search = _Search(distances(inputs, inputs), targets, noise, progress)
    if noise == "gaussian":
        amplitude, length, variance = search.with_noise(1.0, 1.0, 1e-2)
        return GaussianProcess(inputs, targets, amplitude, length, np.full(len(targets), variance), variance)
    variance, weights = 0.1, np.ones(len(targets))
    amplitude, length = 1.0, 1.0
    for _ in range(ROUNDS):
        row_noise = variance / weights
        amplitude, length = search.with_rows(amplitude, length, row_noise)
        solved = _Solved(amplitude * matern(search.distances / length), row_noise, targets)
        # E-step: expected squared residual of the latent function; M-step: weights and variance.
        residual = solved.alpha * row_noise
        expected = residual**2 + row_noise - row_noise**2 * np.diag(solved.inverse())
        weights = (DEGREES + 1) / (DEGREES + expected / variance)
        variance = max(float(np.mean(weights * expected)), 1e-6)
    return GaussianProcess(inputs, targets, amplitude, length, variance / weights, variance)


def distances(first: Floats, second: Floats) -> Floats:
    """Return Euclidean distances between rows [n, d] and [m, d]: [n, m]."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :]
    squares -= 2 * (first @ second.T)
    if first is second:
        np.fill_diagonal(squares, 0.0)
    result: Floats = np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)
    return result


def matern(ratio: Floats) -> Floats:
    """Return the Matérn 3/2 correlation at distances in units of the length scale (Rasmussen & Williams, Eq. 4.17)."""
    scaled = math.sqrt(3) * ratio
    result: Floats = (1 + scaled) * np.exp(-scaled)
    return result


class _Solved:
    """The linear algebra of a kernel matrix [m, m] with noise on its diagonal."""

    def __init__(self, kernel: Floats, noise: Floats, targets: Floats) -> None:
        matrix = kernel.copy()
        matrix[np.diag_indices_from(matrix)] += noise
        self.factor: Floats = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
        half = solve_triangular(self.factor, targets, lower=True, check_finite=False)
        self.alpha: Floats = solve_triangular(self.factor, half, lower=True, trans=1, check_finite=False)
        self.log_likelihood = (
            -0.5 * float(half @ half)
            - float(np.log(np.diag(self.factor)).sum())
            - 0.5 * len(targets) * math.log(2 * math.pi)
        )

    def inverse(self) -> Floats:
        """Return the inverse of the matrix; only its lower triangle is filled."""
        inverse, _ = lapack.dpotri(self.factor, lower=1)
        lower: Floats = inverse
        return lower


class _Search:
    """Finds kernels of the greatest marginal likelihood, and tells of each step; what the listener raises ends it."""

    def __init__(self, between: Floats, targets: Floats, noise: Noise, progress: Listener) -> None:
        self.distances = between
        self.targets = targets
        self.what = f"Gaussian process, {noise} noise"
        self.steps = STEPS if noise == "gaussian" else STEPS_OF_A_ROUND
        self.total = STEPS if noise == "gaussian" else ROUNDS * STEPS_OF_A_ROUND
        self.done = 0
        self.progress = progress

    def with_noise(self, amplitude: float, length: float, noise: float) -> tuple[float, float, float]:
        """Return amplitude, length and the one noise variance, starting from these."""
        found = self._minimise(
            (amplitude, length, noise), (AMPLITUDE_BOUNDS, LENGTH_BOUNDS, NOISE_BOUNDS), None
        )
        return float(found[0]), float(found[1]), float(found[2])

    def with_rows(self, amplitude: float, length: float, noise: Floats) -> tuple[float, float]:
        """Return amplitude and length for given noise variances of the rows [m]."""
        found = self._minimise((amplitude, length), (AMPLITUDE_BOUNDS, LENGTH_BOUNDS), noise)
        return float(found[0]), float(found[1])

    def _minimise(
        self, start: tuple[float, ...], bounds: tuple[tuple[float, float], ...], rows: Floats | None
    ) -> Floats:
        found = minimize(
            self._objective,
            np.log(start),
            args=(rows,),
            method="L-BFGS-B",
            jac=True,
            bounds=np.log(bounds),
            callback=self._tell,
            options={"maxiter": self.steps},
        )
        best: Floats = np.exp(found.x)
        return best

    def _objective(self, theta: Floats, rows: Floats | None) -> tuple[float, Floats]:
        """Return minus the log marginal likelihood and its gradient in the logarithms (Rasmussen & Williams, Eq. 5.9)."""
        amplitude, length = np.exp(theta[:2])
        noise = np.full(len(self.targets), np.exp(theta[2])) if rows is None else rows
        scaled = self.distances * (math.sqrt(3) / length)
        decay = amplitude * np.exp(-scaled)
        kernel = (1 + scaled) * decay
        try:
            solved = _Solved(kernel, noise, self.targets)
        except LinAlgError:
            return _HOPELESS, np.zeros_like(theta)
        inverse, alpha = solved.inverse(), solved.alpha
        slope = np.square(scaled, out=scaled)
        slope *= decay
        gradient = [
            0.5 * (alpha @ derivative @ alpha - _trace(inverse, derivative)) for derivative in (kernel, slope)
        ]
        if rows is None:
            gradient.append(0.5 * noise[0] * (alpha @ alpha - np.trace(inverse)))
        return -solved.log_likelihood, -np.array(gradient)

    def _tell(self, _: Floats) -> None:
        self.done = min(self.done + 1, self.total)
        self.progress(Step(what=self.what, done=self.done, total=self.total, fraction=self.done / self.total))


def _trace(lower: Floats, symmetric: Floats) -> float:
    """Return the trace of the product of two symmetric matrices, of which the first has its lower triangle only."""
    whole = float(np.einsum("ij,ij->", np.tril(lower, -1), symmetric))
    return 2 * whole + float(np.diag(lower) @ np.diag(symmetric))
