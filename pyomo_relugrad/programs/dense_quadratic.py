"""Small dense convex quadratic programs: by guesses of the active rows, or else by least squares."""

from __future__ import annotations

import numpy as np
import scipy
from scipy.linalg import LinAlgError, cholesky, lapack, solve_triangular

from pyomo_relugrad.arrays import Array

#: Guesses of the active rows, after which they are taken to go in a circle.
MAX_GUESSES = 12
#: Distance, relative to its scale, below which a least-distance program has no feasible point.
NO_POINT = 1e-12
#: Violation of a row, or of a multiplier's sign relative to the gradient, that counts; and the share by which products
#: of active rows with themselves are raised.
TOLERANCE, REGULARIZATION = 1e-9, 1e-12


def dense_quadratic_minimum(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point (d,) that minimizes ``gradient @ x + x @ hessian @ x / 2`` where ``rows @ x <= upper``.

    First by a primal-dual active set (Hintermüller, Ito, Kunisch, "The primal-dual active set strategy as a semismooth
    Newton method", SIAM Journal on Optimization 13, 2002), from the rows that are active at zero: where these are
    nearly right, it takes two or three small systems. It may go in a circle. Then as that of the point of a polyhedron
    nearest to the origin (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23).

    Parameters
    ----------
    hessian : (d, d) array
        Symmetric positive definite.
    gradient : (d,) array
    rows : (m, d) array
    upper : (m,) array

    Returns
    -------
    (d,) array or None
        None where no point is found. With rows of very different scales the point may violate them: measure it.
    """
    point = _by_active_sets(hessian, gradient, rows, upper)
    return _by_least_squares(hessian, gradient, rows, upper) if point is None else point


def _by_active_sets(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point; None where the guesses go in a circle, or something is singular."""
    factor, failed = lapack.dpotrf(hessian)
    if failed or not np.isfinite(gradient).all():
        return None
    shift, _ = lapack.dtrtrs(factor, gradient, trans=1)
    active = np.flatnonzero(upper <= TOLERANCE)
    least = -TOLERANCE * np.abs(gradient).max(initial=0.0)
    for _ in range(MAX_GUESSES):
        if active.size > gradient.size:
            return None
        multipliers = np.zeros(0)
        step = shift
        if active.size:
            normals, _ = lapack.dtrtrs(factor, rows[active].T, trans=1)
            products = normals.T @ normals
            products.flat[:: active.size + 1] *= 1.0 + REGULARIZATION
            _, multipliers, failed = lapack.dposv(products, -(upper[active] + shift @ normals))
            if failed:
                return None
            step = shift + normals @ multipliers
        point, _ = lapack.dtrtrs(factor, -step)
        crossed = rows @ point > upper + TOLERANCE
        crossed[active] = False
        holds = multipliers >= least
        if holds.all() and not crossed.any():
            return np.asarray(point)
        active = np.concatenate([active[holds], np.flatnonzero(crossed)])
    return None


def _by_least_squares(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point; None where there is none."""
    try:
        factor = cholesky(hessian)
        shift = solve_triangular(factor, gradient, trans="T")
        normals = solve_triangular(factor, rows.T, trans="T")
        system = np.vstack([-normals, -(upper + shift @ normals)])
        target = np.append(np.zeros(len(gradient)), 1.0)
        multipliers, _ = scipy.optimize.nnls(system, target)
    except (LinAlgError, RuntimeError, ValueError):  # not definite, too many iterations, not finite
        return None
    residual = system @ multipliers - target
    if not abs(residual[-1]) > NO_POINT:
        return None
    return np.asarray(solve_triangular(factor, -residual[:-1] / residual[-1] - shift))
