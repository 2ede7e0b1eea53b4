"""Small dense convex quadratic programs, as least-distance programs by nonnegative least squares."""

from __future__ import annotations

import numpy as np
import scipy
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from pyomo_relugrad.arrays import Array

#: Distance, relative to its scale, below which a least-distance program has no feasible point.
NO_POINT = 1e-12


def dense_quadratic_minimum(hessian: Array, gradient: Array, rows: Array, upper: Array) -> Array | None:
    """The point (d,) that minimizes ``gradient @ x + x @ hessian @ x / 2`` where ``rows @ x <= upper``.

    After a Cholesky factorization it is the point of a polyhedron nearest to the origin, whose multipliers solve a
    nonnegative least-squares problem (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23). With a
    few dozen columns that takes a fraction of a millisecond, where HiGHS takes several.

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
