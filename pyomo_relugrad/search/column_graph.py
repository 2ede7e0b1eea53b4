"""Which columns of a problem stand near each other."""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem


class ColumnGraph:
    """Columns are neighbours where a row or a network holds both; the fewer columns it holds, the nearer they are."""

    def __init__(self, problem: Problem) -> None:
        members = [np.concatenate([embedded.inputs, embedded.outputs]) for embedded in problem.networks]
        sizes = [columns.size for columns in members]
        columns = np.concatenate([np.zeros(0, int), *members])
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
        networks = sparse.csr_array((np.ones(columns.size), columns, indptr), shape=(len(members), problem.n_columns))
        rows = problem.rows.copy()
        rows.data = np.ones(rows.nnz)
        joints = sparse.csr_array(sparse.vstack([rows, networks]))
        joints.sum_duplicates()
        self._joints, self._n_columns = joints, problem.n_columns
        self._lengths = np.diff(joints.indptr)
        #: (n,) number of rows and networks that hold each column.
        self.degrees = np.bincount(joints.indices, minlength=problem.n_columns)

    def distances(self, column: int, random: np.random.Generator) -> Array:
        """Distances (n,) from a column, infinite where nothing joins them; random, so that each call differs."""
        joints = self._joints.copy()
        reach = random.uniform(0.5, 1.5, size=self._lengths.size) * np.log2(1 + self._lengths)
        joints.data = np.repeat(reach, self._lengths)
        graph = sparse.block_array([[None, joints.T], [joints, None]], format="csr")
        return np.asarray(dijkstra(graph, indices=column)[: self._n_columns])
