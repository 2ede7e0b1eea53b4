"""Which points of a cloud span its convex hull: the vertices, or some of them where there are too many.

Nothing here knows Pyomo.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.programs import LinearProgram, solver_threads

#: Distance from a hull, in standard deviations, up to which a point counts as inside.
TOLERANCE = 1e-7
#: Spread, relative to the columns' ranges, below which a dimension is rounding.
FLAT = 1e-7
#: Qhull enumerates facets, whose number explodes with the dimension; up to here it beats linear programs.
QHULL_DIMENSION = 5
#: Directions whose farthest points are the first vertices: those of the points farthest from the centre.
DIRECTIONS = 4096
#: Directions that are multiplied with the cloud, and points that are tested against one hull, at a time.
CHUNK = 256


@dataclass(frozen=True, eq=False)
class ExtremePoints:
    """Vertices of the convex hull of a cloud.

    Parameters
    ----------
    rows : (k,) int array
        Ascending row numbers of the points.
    is_exact : bool
        Whether the hull of these rows is the hull of the cloud; it lies inside otherwise.
    """

    rows: Array
    is_exact: bool


@solver_threads()
def extreme_points(points: Array, limit: int | None = None) -> ExtremePoints:
    """Vertices of the convex hull, or `limit` of them, far apart from each other, where there are more.

    Duplicates and dimensions in which the cloud is flat go first. In up to five dimensions Qhull finds the vertices; on
    grids in five, a point on a face may be among them, and the hull is the same. Beyond, the farthest points in many
    directions are vertices; each other point is tested by a linear program, which proves it inside or gives a
    hyperplane that separates it, and so another vertex (K. Clarkson, More output-sensitive geometric algorithms, FOCS
    1994). Once there are more than `limit`, the search for vertices ends, and farthest-first traversal (T. Gonzalez,
    1985) chooses among them.

    Parameters
    ----------
    points : (n, d) array
        Finite, n >= 1.
    limit : int, optional
        Largest number of rows wanted. Default: no limit.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0, 0], [1, 0], [0.5, 0.5], [0, 1], [1, 1], [1, 1]])
    >>> extreme_points(square).rows
    array([0, 1, 3, 4])
    """
    rows = np.sort(np.unique(points, axis=0, return_index=True)[1])
    cloud = _standardised(points[rows])
    limit = len(rows) if limit is None else limit
    vertices = _vertices_in_low_dimension(cloud)
    if vertices is None:
        vertices = _vertices_by_linear_programs(cloud, limit)
    if len(vertices) <= limit:
        return ExtremePoints(np.sort(rows[vertices]), is_exact=True)
    chosen = _farthest_first(cloud[vertices], limit)
    return ExtremePoints(np.sort(rows[vertices[chosen]]), is_exact=False)


def _standardised(points: Array) -> Array:
    """The cloud in principal coordinates of its own affine space, each with standard deviation one: (n, r)."""
    ranges = np.ptp(points, axis=0)
    scaled = (points - points.mean(axis=0)) / np.where(ranges > 0, ranges, 1.0)
    axes, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    spread = singular / np.sqrt(len(points))
    return axes[:, spread > FLAT] * np.sqrt(len(points))


def _vertices_in_low_dimension(cloud: Array) -> Array | None:
    """Indices of the vertices, None where the dimension is too high."""
    dimension = cloud.shape[1]
    if dimension == 0:
        return np.array([0])
    if dimension == 1:
        return np.array([cloud[:, 0].argmin(), cloud[:, 0].argmax()])
    if dimension > QHULL_DIMENSION:
        return None
    try:
        return np.asarray(ConvexHull(cloud).vertices)
    except QhullError:  # nearly flat: the linear programs are sturdier
        return None


def _vertices_by_linear_programs(cloud: Array, limit: int) -> Array:
    """Indices of all vertices; of more than `limit` of them where there are so many."""
    vertices = np.unique(_farthest_along(cloud, _outward_directions(cloud)))
    undecided = np.setdiff1d(np.arange(len(cloud)), vertices)
    while undecided.size and len(vertices) <= limit:
        tested, waiting = undecided[:CHUNK], undecided[CHUNK:]
        hull = _Hull(cloud[vertices])
        found = [hull.separate(point) for point in cloud[tested]]
        outside = np.array([distance > TOLERANCE for distance, _ in found])
        if outside.any():
            directions = np.array([direction for _, direction in found])[outside]
            farthest = _farthest_along(cloud, directions)
            # A point within rounding of the hull may lead to no other vertex; it does no harm as one.
            new = np.where(np.isin(farthest, vertices), tested[outside], farthest)
            vertices = np.union1d(vertices, new)
        undecided = np.setdiff1d(np.concatenate([tested[outside], waiting]), vertices)
    return vertices


def _outward_directions(cloud: Array) -> Array:
    """Directions (k, r): both ways along the axes, and from the centre to the points farthest from it."""
    norms = np.linalg.norm(cloud, axis=1)
    axes = np.eye(cloud.shape[1])
    return np.concatenate([axes, -axes, cloud[np.argsort(-norms, kind="stable")[:DIRECTIONS]]])


def _farthest_along(cloud: Array, directions: Array) -> Array:
    """Index of the point farthest along each direction; of several, the one farthest from the centre."""
    ties = 1e-9 * np.linalg.norm(cloud, axis=1)
    found = []
    for start in range(0, len(directions), CHUNK):
        part = directions[start : start + CHUNK]
        along = part @ cloud.T + np.linalg.norm(part, axis=1)[:, None] * ties
        found.append(along.argmax(axis=1))
    return np.concatenate(found)


def _farthest_first(cloud: Array, count: int) -> Array:
    """Indices of `count` points: the one farthest from the centre, then always the one farthest from those chosen."""
    chosen = [int(np.argmax(np.linalg.norm(cloud, axis=1)))]
    distance = np.full(len(cloud), np.inf)
    for _ in range(1, count):
        distance = np.minimum(distance, np.linalg.norm(cloud - cloud[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.array(chosen)


class _Hull:
    """How far points are from the convex hull of others, in the 1-norm, by one linear program with changing sides.

    Parameters
    ----------
    vertices : (k, d) array
    """

    def __init__(self, vertices: Array) -> None:
        count, size = vertices.shape
        identity = np.eye(size)
        combination = np.hstack([vertices.T, identity, -identity])
        convexity = np.concatenate([np.ones(count), np.zeros(2 * size)])
        n_columns = count + 2 * size
        self._rows = np.arange(size + 1)
        self._program = LinearProgram(
            np.concatenate([np.zeros(count), np.ones(2 * size)]),
            np.zeros(n_columns),
            np.full(n_columns, np.inf),
            np.vstack([combination, convexity]),
            np.append(np.zeros(size), 1.0),
            np.append(np.zeros(size), 1.0),
            options={"presolve": "off", "solver": "simplex"},
        )

    def separate(self, point: Array) -> tuple[float, Array]:
        """Distance of a point (d,), and the direction (d,) in which it grows fastest: it separates the point."""
        sides = np.append(point, 1.0)
        self._program.change_row_bounds(self._rows, sides, sides)
        solution = self._program.solve()
        if not solution.is_optimal or solution.row_duals is None:  # HiGHS gave up: keep the point
            return np.inf, point
        return solution.objective, solution.row_duals[:-1]
