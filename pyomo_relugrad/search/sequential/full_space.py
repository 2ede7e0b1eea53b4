"""A problem as a nonlinear program: what functions write are variables, tied by equations."""

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.problem import Problem, Stage
from pyomo_relugrad.programs import LinkRows

#: Length of the differences of slopes, relative to the column; a column near zero counts as this share of its scale.
DIFFERENCE, LEAST_SIZE = 1e-6, 1e-3
#: Share of a column's range that a value has at least that counts as its scale, and what counts in place of less.
LEAST_SCALE, SCALE_OF_NOTHING = 1e-6, 1e-2
#: Ranges wider than this say nothing: they are bounds that somebody gave, or that follow from others, for want of any.
WIDE = 1e9
#: Size up to which a number counts as zero where nothing is known of its range.
ROUNDING = 1e-12
#: Distance of two bounds, relative to them, up to which there is no room between them.
NO_ROOM = 1e-9
#: Share of a range, or of a bound, that the first point keeps away from it.
INSIDE = 0.01
#: Share of what a row's columns and terms usually are that its derivatives count as at least.
LEAST_SLOPE = 0.01
#: Logarithms take the place of positive columns whose bounds are so far apart, of which the point is at most this share
#: of the upper one; the largest logarithm.
MANY_DECADES, FAR_BELOW, LARGEST_LOG = 1e8, 0.01, 700.0
#: Factors of rows and objective stay within these.
SMALLEST_FACTOR, LARGEST_FACTOR = 1e-10, 1e10


class FullSpace:
    """``min f(z)`` over ``c(z) = 0`` and ``lower <= z <= upper``, all scaled to be about one near a point.

    The variables z are the columns that may move, integers held, and the activity of each row that is no equation. What
    expressions write for rows and the objective alone are terms of these, neither variables nor tied by equations.
    Scales follow from the columns' sizes at the point and from derivatives there, so that units do not matter.

    Parameters
    ----------
    problem : Problem
    v : (n,) array
        With propagated outputs.
    given : (n,) array, optional
        Values to begin at in place of these, also of what functions write; NaN where there is none.
    """

    def __init__(self, problem: Problem, v: Array, given: Array | None = None) -> None:
        self._problem, self._stages = problem, problem.equations
        self._links = LinkRows(problem, stages=self._stages)
        given = np.full(v.size, np.nan) if given is None else given
        self._kept = problem.is_output & np.isfinite(given)
        fixed = are_equal(problem.lower, problem.upper)
        v = np.where(np.isfinite(given), given, v)
        self._point = self._completed(np.where(fixed, np.clip(v, problem.lower, problem.upper), v))
        self._find_terms()
        is_used = ~problem.is_output
        is_used[self._links.columns[self._linked]] = True
        self._columns = np.flatnonzero(~fixed & is_used & ~problem.integers)
        self.is_log = self._ranges_over_decades()[self._columns]
        is_equation = are_equal(problem.row_lower, problem.row_upper)
        self._ranges = np.flatnonzero(~is_equation)
        self._right = np.where(is_equation, problem.row_lower, 0.0)
        self.n_columns, self.n_slacks = self._columns.size, self._ranges.size
        picks = sparse.csr_array(
            (-np.ones(self.n_slacks), (self._ranges, np.arange(self.n_slacks))), shape=(problem.n_rows, self.n_slacks)
        )
        no_slacks = sparse.csr_array((self._linked.size, self.n_slacks))
        self._slacks = sparse.vstack([picks, no_slacks], format="csr")
        self._seen: tuple[Array, Weight] | None = None
        self._begin()

    def _find_terms(self) -> None:
        """Which outputs are terms of rows and the objective alone, which need no variables and equations."""
        problem, columns = self._problem, self._links.columns
        is_term = problem.is_output & ~problem.is_input & ~self._kept
        is_term &= np.isinf(problem.lower) & np.isinf(problem.upper)
        for stage in self._stages:
            if stage.n_neurons:
                is_term[stage.outputs] = False
        if problem.quadratic is not None:
            is_term[problem.quadratic.indices] = False
        self._linked, terms = np.flatnonzero(~is_term[columns]), np.flatnonzero(is_term[columns])
        self._terms, self._term_columns = terms, columns[terms]
        parts = [(stage, np.flatnonzero(is_term[stage.outputs].any(axis=1))) for stage in self._stages]
        self._term_stages = tuple(stage.part(chosen) for stage, chosen in parts if chosen.size)
        self._is_term = is_term

    def _begin(self) -> None:
        """Scales at the point, then the variables there, moved off their bounds."""
        problem, columns, rows = self._problem, self._columns, self._ranges
        size = self.n_columns + self.n_slacks
        least, most = self._output_ranges()
        # What is read as a number above or below zero stays there, as arguments of logarithms and divisors; and bounds
        # count that were left out since functions imply them.
        read, has_bound = problem.is_output & problem.is_input, np.isfinite(problem.lower) | np.isfinite(problem.upper)
        all_lower = np.where((read & (least >= 0)) | has_bound, np.maximum(problem.lower, least), problem.lower)
        all_upper = np.where((read & (most <= 0)) | has_bound, np.minimum(problem.upper, most), problem.upper)
        is_point = are_equal(all_lower, all_upper)
        all_lower[is_point], all_upper[is_point] = problem.lower[is_point], problem.upper[is_point]
        lower = np.concatenate([all_lower[columns], problem.row_lower[rows]])
        upper = np.concatenate([all_upper[columns], problem.row_upper[rows]])
        self.scale, self._factors, self._weight = np.ones(size), np.ones(problem.n_rows + self._linked.size), 1.0
        scale = self._column_scale(all_lower, all_upper)
        moving = np.zeros(problem.n_columns)
        moving[columns], moving[self._term_columns] = scale[columns], scale[self._term_columns]
        of_rows = abs(problem.rows) @ moving
        self.scale = np.concatenate([scale[columns], np.maximum(of_rows[rows], SMALLEST_FACTOR)])
        self.scale[: self.n_columns][self.is_log] = 1.0
        self.lower, self.upper = self._scaled(lower), self._scaled(upper)
        self.start = self._inside()
        self._find_log_links()
        if self.start.size:
            largest = abs(self.jacobian(self.start)).max(axis=1).toarray().ravel()
            # Slopes of terms may vanish at the point.
            largest[: problem.n_rows] = np.maximum(largest[: problem.n_rows], LEAST_SLOPE * of_rows)
            if self.is_log.any():
                largest[: problem.n_rows] = np.maximum(largest[: problem.n_rows], np.abs(self._right))
            self._factors = 1.0 / np.clip(largest, SMALLEST_FACTOR, LARGEST_FACTOR)
            slope = float(np.abs(self.gradient(self.start)).max())
            self._weight = 1.0 / np.clip(slope, SMALLEST_FACTOR, LARGEST_FACTOR) if slope > 0 else 1.0

    def _column_scale(self, lower: Array, upper: Array) -> Array:
        """(n,) typical changes of columns: sizes, or shares of ranges; those of outputs by their inputs'."""
        problem = self._problem
        sizes, ranges = np.abs(self._point), upper - lower
        scale = _typical(sizes, ranges)
        for stage in problem.stages:
            X, change = self._point[stage.inputs], scale[stage.inputs]
            low, high = lower[stage.inputs], upper[stage.inputs]
            moved = np.concatenate([np.clip(X + change, low, high), np.clip(X - change, low, high)])
            values = np.abs(stage.value(moved).reshape(2, *stage.outputs.shape) - self._point[stage.outputs])
            slopes = np.abs(stage.affine(X)[0]) @ change[:, :, None]
            # Ends of ranges may be poles of functions, near which their values say nothing of what is usual.
            largest = np.fmax(slopes[:, :, 0], sizes[stage.outputs])
            largest = np.where(largest > ROUNDING, largest, np.fmax(*values))
            largest = np.where(np.isfinite(largest), largest, 0.0)
            scale[stage.outputs] = _typical(largest, ranges[stage.outputs])
        return scale

    def _output_ranges(self) -> tuple[Array, Array]:
        """Bounds (n,) of all columns, those that expressions write as narrow as their inputs' bounds make them."""
        least, most = self._problem.lower.copy(), self._problem.upper.copy()
        for stage in self._problem.stages:
            if not stage.n_neurons:
                low, high = stage.range(least[stage.inputs], most[stage.inputs])
                least[stage.outputs] = np.fmax(least[stage.outputs], low)
                most[stage.outputs] = np.fmin(most[stage.outputs], high)
        return least, most

    def _find_log_links(self) -> None:
        """Which equations are of logarithms: those that write such a column, by a positive number at the start."""
        outputs = self._links.columns[self._linked]
        of_logs = np.zeros(self._problem.n_columns, bool)
        of_logs[self._columns] = self.is_log
        self._log_links = np.flatnonzero(of_logs[outputs])
        if self._log_links.size:
            written = self._written(self.values(self.start))[self._log_links]
            self._log_links = self._log_links[np.isfinite(written) & (written > 0)]
        self._log_outputs = outputs[self._log_links]

    def _scaled(self, values: Array) -> Array:
        """The variables at values of columns and rows' activities."""
        z = np.asarray(values / self.scale)
        logs = np.flatnonzero(self.is_log)
        z[logs] = np.log(np.maximum(values[logs], np.exp(-LARGEST_LOG)))
        return z

    def _ranges_over_decades(self) -> Array:
        """Columns that are positive, may range over many decades, and are read or written by functions."""
        least, most = self._output_ranges()
        is_wide = (least > 0) & (most >= MANY_DECADES * least) & (most <= WIDE) & (self._point <= FAR_BELOW * most)
        return np.asarray(is_wide & (self._problem.is_input | self._problem.is_output))

    def _variables(self, v: Array) -> Array:
        activity = self._problem.row_activity(v[None])[0][self._ranges]
        return self._scaled(np.concatenate([v[self._columns], activity]))

    def _rates(self, z: Array) -> Array:
        """Derivatives of the columns and activities by their variables."""
        rates = self.scale.copy()
        rates[: self.n_columns][self.is_log] = _exp(z[: self.n_columns][self.is_log])
        return rates

    def _inside(self) -> Array:
        """The variables at the point, off their bounds; what functions write follows from the others where it may."""
        z = moved_inside(self._variables(self._point), self.lower, self.upper)
        v = self._completed(self.values(z))
        v = np.where(np.isfinite(v), v, self.values(z))
        return moved_inside(self._variables(v), self.lower, self.upper)

    def _completed(self, v: Array) -> Array:
        """A copy of a point with the functions' values in the columns that they write, where none were given."""
        V, own = np.array(v, np.float64)[None], v[self._kept]
        for stage in self._problem.stages:
            stage.propagate(V)
            V[0, self._kept] = own
        return V[0]

    def values(self, z: Array) -> Array:
        """The columns (n,) of the problem at variables, with the values of terms."""
        v = self._point.copy()
        own = z[: self.n_columns]
        v[self._columns] = np.where(self.is_log, _exp(own), own * self.scale[: self.n_columns])
        for stage in self._term_stages:
            is_term = self._is_term[stage.outputs]
            v[stage.outputs[is_term]] = stage.value(v[stage.inputs]).reshape(stage.outputs.shape)[is_term]
        return v

    def objective(self, z: Array) -> float:
        """The objective at variables."""
        return self._weight * float(self._problem.objective(self.values(z)[None])[0])

    def gradient(self, z: Array) -> Array:
        """Its derivatives."""
        v = self.values(z)
        partial = self._problem.objective_gradient(v[None])[0]
        slopes = partial[self._columns] + self._term_slopes(self._link_rows(z)).T @ partial[self._term_columns]
        scaled = np.concatenate([slopes, np.zeros(self.n_slacks)]) * self._rates(z)
        return np.asarray(self._weight * scaled)

    def constraints(self, z: Array) -> Array:
        """What rows, and equations of functions, lack at variables; NaN where a function has no value."""
        v = self.values(z)
        rows = self._problem.row_activity(v[None])[0] - self._right
        rows[self._ranges] -= z[self.n_columns :] * self.scale[self.n_columns :]
        written, there = self._written(v), v[self._links.columns[self._linked]]
        missing = there - written
        if self._log_links.size:
            quotients = there[self._log_links] / written[self._log_links]
            missing[self._log_links] = np.log(np.where(quotients > 0, quotients, np.nan))
        return np.asarray(np.concatenate([rows, missing]) * self._factors)

    def _written(self, v: Array) -> Array:
        """What functions write into the columns that equations tie to them."""
        parts = [np.zeros(0)]
        for stage, used in zip(self._stages, self._links.used, strict=True):
            parts.append(stage.value(v[stage.inputs])[:, used].ravel())
        return np.asarray(np.concatenate(parts)[self._linked])

    def jacobian(self, z: Array) -> Weight:
        """Derivatives of the constraints, by rows."""
        links = self._link_rows(z)
        of_terms = self._problem.rows[:, self._term_columns] @ self._term_slopes(links)
        rows = self._problem.rows[:, self._columns] + of_terms
        tied = links[self._linked]
        if self._log_links.size:
            by_column, by_function = self._log_slopes(z, tied)
            keep = np.ones(tied.shape[0])
            keep[self._log_links] = 0.0
            places = (np.ones(self._log_links.size), (self._log_links, np.arange(self._log_links.size)))
            spread = sparse.csr_array(places, shape=(tied.shape[0], self._log_links.size))
            tied = sparse.diags_array(keep) @ tied + spread @ (by_column - by_function)
        both = sparse.vstack([rows, tied[:, self._columns]], format="csc")
        whole = sparse.hstack([both, self._slacks], format="csr")
        whole.data *= np.repeat(self._factors, np.diff(whole.indptr)) * self._rates(z)[whole.indices]
        return whole

    def _log_slopes(self, z: Array, tied: Weight) -> tuple[Weight, Weight]:
        """Derivatives (n_log_links, n) of the logarithms of such columns, and of what functions write into them."""
        v, logs = self.values(z), self._log_links
        outputs, written = self._log_outputs, self._written(v)[logs]
        places = np.arange(logs.size), outputs
        ones = sparse.csr_array((np.ones(logs.size), places), shape=(logs.size, v.size))
        by_column = sparse.csr_array((1.0 / v[outputs], places), shape=(logs.size, v.size))
        return by_column, sparse.csr_array(sparse.diags_array(1.0 / written) @ (ones - tied[logs]))

    def _link_rows(self, z: Array) -> Weight:
        """Derivatives (n_links, n) of what ties functions' outputs to their inputs; kept for the last variables."""
        if self._seen is None or not np.array_equal(self._seen[0], z):
            v, slopes, nothing = self.values(z), [], []
            for stage, used in zip(self._stages, self._links.used, strict=True):
                slopes.append(stage.affine(v[stage.inputs])[0][:, used])
                nothing.append(np.zeros(slopes[-1].shape[:2]))
            links, _ = self._links.build(slopes, nothing)
            shape = (self._links.columns.size, self._problem.n_columns)
            self._seen = z.copy(), sparse.csr_array((links.data, links.indices, links.indptr), shape=shape)
        return self._seen[1]

    def _term_slopes(self, links: Weight) -> Weight:
        """Derivatives (n_terms, n_columns) of the terms."""
        return -links[self._terms][:, self._columns]

    def hessian(self, z: Array, multipliers: Array) -> Weight:
        """Second derivatives of the objective and of the constraints by their multipliers.

        By differences of the functions' slopes, each function by itself. Kinks have none.
        """
        problem, v = self._problem, self.values(z)
        of_logs = np.zeros(z.size)
        if self.is_log.any():
            slopes = self.gradient(z) + self.jacobian(z).T @ multipliers
            of_logs[: self.n_columns][self.is_log] = slopes[: self.n_columns][self.is_log]
        multipliers = multipliers * self._factors
        weights = np.zeros(self._links.columns.size)
        own = -multipliers[problem.n_rows :]
        if self._log_links.size:
            prices = -own[self._log_links]
            own[self._log_links] /= self._written(v)[self._log_links]
        weights[self._linked] = own
        partial = self._weight * problem.objective_gradient(v[None])[0] + multipliers[: problem.n_rows] @ problem.rows
        weights[self._terms] = partial[self._term_columns]
        unit = np.ones(problem.n_columns)
        unit[self._columns] = self._rates(z)[: self.n_columns]
        rows, columns, entries, first = [], [], [], 0
        for stage, used in zip(self._stages, self._links.used, strict=True):
            seeds = np.zeros(stage.outputs.shape)
            seeds[:, used] = weights[first : first + len(seeds) * used.size].reshape(len(seeds), -1)
            first += len(seeds) * used.size
            if stage.widths or not stage.inputs.shape[1]:
                continue
            second = self._second(stage, v, seeds, unit)
            rows.append(np.broadcast_to(stage.inputs[:, :, None], second.shape).ravel())
            columns.append(np.broadcast_to(stage.inputs[:, None, :], second.shape).ravel())
            entries.append(second.ravel())
        n, size = problem.n_columns, z.size
        found = sparse.csr_array((n, n))
        if entries:
            where = np.concatenate(rows), np.concatenate(columns)
            found = sparse.csr_array((np.concatenate(entries), where), shape=(n, n))
        if problem.quadratic is not None:
            found = found + self._weight * problem.quadratic
        if self._log_links.size:
            by_column, by_function = self._log_slopes(z, self._link_rows(z)[self._linked])
            priced = sparse.diags_array(prices)
            found = found + by_function.T @ priced @ by_function - by_column.T @ priced @ by_column
        inner = found.tocoo()
        place = np.full(n, -1)
        place[self._columns] = np.arange(self.n_columns)
        row, column = place[inner.row], place[inner.col]
        used, logs = (row >= 0) & (column >= 0), np.flatnonzero(of_logs)
        entries = (inner.data * unit[inner.row] * unit[inner.col])[used]
        where = np.concatenate([row[used], logs]), np.concatenate([column[used], logs])
        return sparse.csr_array((np.concatenate([entries, of_logs[logs]]), where), shape=(size, size))

    def _second(self, stage: Stage, v: Array, seeds: Array, unit: Array) -> Array:
        """(k, n_inputs, n_inputs) second derivatives of ``seeds @ outputs`` of each embedding."""
        X, problem = v[stage.inputs], self._problem
        k, n_inputs = X.shape
        below = X - problem.lower[stage.inputs]
        above = problem.upper[stage.inputs] - X
        length = DIFFERENCE * np.maximum(np.abs(X), LEAST_SIZE * unit[stage.inputs])
        room = np.maximum(below, above)
        length = np.where(room > 0, np.minimum(length, 0.5 * room), length) * np.where(above >= below, 1.0, -1.0)
        moved = np.repeat(X[None], n_inputs + 1, axis=0)
        index = np.arange(n_inputs)
        moved[index + 1, :, index] += length.T
        _, state = stage.value_and_state(moved.reshape(-1, n_inputs))
        slopes = stage.adjoint(state, np.tile(seeds, (n_inputs + 1, 1))).reshape(n_inputs + 1, k, n_inputs)
        second = (slopes[1:] - slopes[0]).transpose(1, 0, 2) / length[:, :, None]
        second = 0.5 * (second + second.transpose(0, 2, 1))
        return np.where(np.isfinite(second), second, 0.0)


def _exp(z: Array) -> Array:
    return np.asarray(np.exp(np.clip(z, -LARGEST_LOG, LARGEST_LOG)))


def _typical(sizes: Array, ranges: Array) -> Array:
    """Scales by sizes, or shares of ranges where these say more."""
    known = np.where(ranges <= WIDE, ranges, np.inf)
    of_range = np.where(np.isfinite(known), SCALE_OF_NOTHING * known, 1.0)
    of_little = np.where(sizes > ROUNDING, np.minimum(of_range, np.maximum(sizes, 1.0)), of_range)
    is_small = np.where(np.isfinite(known), sizes < LEAST_SCALE * known, sizes <= ROUNDING)
    return np.where(is_small, of_little, np.minimum(sizes, known))


def are_equal(lower: Array, upper: Array) -> Array:
    """Bounds between which there is no room for a barrier."""
    with np.errstate(invalid="ignore"):  # infinite ones of one sign
        room = upper - lower
    return np.asarray(np.isfinite(room) & (room <= NO_ROOM * np.fmin(np.abs(lower), np.abs(upper))))


def moved_inside(z: Array, lower: Array, upper: Array) -> Array:
    """Variables moved off their bounds, by a share of the range or of the bound's size."""
    has_lower, has_upper = np.isfinite(lower), np.isfinite(upper)
    low, high = np.where(has_lower, lower, 0.0), np.where(has_upper, upper, 0.0)
    most = np.where(has_lower & has_upper, INSIDE * (high - low), np.inf)
    low = np.where(has_lower, low + np.minimum(INSIDE * np.maximum(1.0, np.abs(low)), most), -np.inf)
    high = np.where(has_upper, high - np.minimum(INSIDE * np.maximum(1.0, np.abs(high)), most), np.inf)
    return np.asarray(np.minimum(np.maximum(z, low), high))
