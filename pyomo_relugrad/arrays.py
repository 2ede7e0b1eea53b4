"""Types of the arrays that pass between the rooms."""

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

#: A linear map: a dense (rows, columns) array or a ``scipy.sparse.csr_array``.
Weight: TypeAlias = Any
