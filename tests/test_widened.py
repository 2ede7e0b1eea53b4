"""Large matrices that are held in float32: the same numbers everywhere, and one copy for all."""

import mmap
import pickle
import weakref

import numpy as np
import pytest
from executors import Inline
from random_networks import random_network
from scipy import sparse

from pyomo_relugrad import maximize
from pyomo_relugrad.network import Layer, Network, interval_bounds, linear_maps, relu_chain, widened
from pyomo_relugrad.network.bounds import crown_bounds
from pyomo_relugrad.network.linear_maps import product, row_blocks, row_norms
from pyomo_relugrad.network.widened import WidenedMatrix
from pyomo_relugrad.problem import ReducedObjective, epigraph_relus
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof import prove
from pyomo_relugrad.run import Options, packed
from pyomo_relugrad.solve import array_problem
from pyomo_relugrad.solve.elsewhere import task_pool
from pyomo_relugrad.solve.elsewhere.tasks import options_of_task

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(size=(7, 5)).astype(np.float32)


@pytest.fixture
def always(monkeypatch):
    """Whatever float32 holds is held in it, and widened two rows or so at a time."""
    monkeypatch.setattr(widened, "MIN_ENTRIES", 1)
    monkeypatch.setattr(widened, "BLOCK_ENTRIES", 12)


def in_single(network: Network) -> Network:
    """The network with numbers that float32 holds."""
    single = network.astype(np.float32)
    return Network.from_layers([layer.weights[0] for layer in single.layers], [layer.bias for layer in single.layers])


@pytest.fixture
def pair(monkeypatch):
    """A network in float64, and the same held in float32."""
    plain = in_single(random_network((6, 9, 8, 2), 1))
    monkeypatch.setattr(widened, "MIN_ENTRIES", 1)
    monkeypatch.setattr(widened, "BLOCK_ENTRIES", 12)
    held = in_single(plain)
    assert all(isinstance(layer.weights[0], WidenedMatrix) for layer in held.layers)
    return plain, held


# --- the matrix -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", [NUMBERS, NUMBERS.T])
def test_products_and_other_functions_are_those_of_the_array(always, matrix):
    held, plain = WidenedMatrix(matrix), matrix.astype(float)
    rows, columns = RANDOM.normal(size=(3, len(plain))), RANDOM.normal(size=(plain.shape[1], 4))
    for found, expected in (
        (rows @ held, rows @ plain),
        (held @ columns, plain @ columns),
        (rows[0] @ held, rows[0] @ plain),
        (held @ columns[:, 0], plain @ columns[:, 0]),
        (held.T @ held, plain.T @ plain),
        (sparse.csr_array(rows) @ held, rows @ plain),
        (abs(held), abs(plain)),
        (2.0 * held - plain, plain),
        (np.maximum(held, 0), np.maximum(plain, 0)),
        (np.sum(held, axis=0), plain.sum(axis=0)),
        (held[[2, 0]], plain[[2, 0]]),
        (row_norms(held), np.linalg.norm(plain, axis=1)),
        (np.concatenate([part for _, part in row_blocks(held)]), plain),
    ):
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
    assert held.astype(np.float32) is matrix
    np.testing.assert_array_equal(np.asarray(held, np.float32), matrix)
    assert (held.shape, held.size) == (plain.shape, plain.size)


def test_a_product_with_a_sparse_matrix_is_that_of_the_array():
    right = sparse.random_array((5, 3), density=0.5, random_state=RANDOM).tocsr()
    assert np.allclose(product(WidenedMatrix(NUMBERS), right), NUMBERS.astype(float) @ right.toarray())


@pytest.mark.parametrize("value", [0.1, 1e300, 1e-300, np.nan, 1 + 2.0**-40])
def test_a_matrix_that_float32_does_not_hold_stays_as_it_is(always, value):
    matrix = NUMBERS.astype(float)
    assert isinstance(WidenedMatrix.of(matrix), WidenedMatrix)
    matrix[6, 3] = value
    assert WidenedMatrix.of(matrix) is matrix
    assert WidenedMatrix.of(NUMBERS) is NUMBERS


def test_small_matrices_stay_as_they_are():
    assert isinstance(Layer((0,), (NUMBERS.astype(float),), np.zeros(7)).weights[0], np.ndarray)


# --- networks -------------------------------------------------------------------------------------------------------


def test_a_network_does_the_same(pair):
    plain, held = pair
    X, V = RANDOM.normal(size=(5, 6)), RANDOM.normal(size=(5, 2))
    for name, arguments in (("value_and_gradient", (X, V)), ("affine", (X,))):
        for own, other in zip(*(getattr(network, name)(*arguments) for network in pair), strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-12, atol=1e-12)
    slopes = [network.linearize(X, X)[1][-1] for network in pair]
    np.testing.assert_allclose(*slopes, rtol=1e-12, atol=1e-12)
    for bounds in (interval_bounds, crown_bounds):
        own, other = (bounds(network, -np.ones((1, 6)), np.full((1, 6), np.inf)) for network in pair)
        np.testing.assert_allclose(np.hstack(other.upper), np.hstack(own.upper), rtol=1e-12)
    np.testing.assert_allclose(held.gradient_bounds, plain.gradient_bounds, rtol=1e-12)
    problems = [presolve(array_problem(network, [1.0, -1.0], -1.0, 1.0)).problem for network in pair]
    masks = [np.concatenate([part.ravel() for own in epigraph_relus(each) for part in own]) for each in problems]
    np.testing.assert_array_equal(*masks)
    found = [prove(each, time_limit=60).incumbent.objective for each in problems]
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_the_copy_in_float32_is_what_is_held_and_a_file_has_it_once(pair):
    held = pair[1]
    single = held.astype(np.float32)
    assert all(a.weights[0].held is b.weights[0] for a, b in zip(held.layers, single.layers, strict=True))
    buffers = []
    pickle.dumps(held, protocol=5, buffer_callback=buffers.append)
    biases = sum(layer.bias.nbytes for layer in (*held.layers, *single.layers))
    assert sum(buffer.raw().nbytes for buffer in buffers) == 4 * held.n_weights + biases


@pytest.mark.parametrize("is_single", [True, False])
def test_who_asks_and_who_works_share_one_copy(monkeypatch, always, is_single):
    monkeypatch.setattr(task_pool, "MIN_SHARED_WEIGHTS", 1)
    monkeypatch.setattr(relu_chain, "MAX_ENTRIES", 0)  # as large ones are none
    network = random_network((6, 9, 8, 1), 1)
    network = in_single(network) if is_single else network
    problem = presolve(array_problem(network, None, -1.0, 1.0)).problem
    value = network.value(np.ones((1, 6)))
    objective = ReducedObjective(problem, np.float32)
    objective.single.value(np.ones((1, 6), np.float32))  # as a search has done
    inline = Inline()
    pool = task_pool.TaskPool(problem, Options(executor=inline))
    single = network.astype(np.float32)
    before = [weakref.ref(array) for array in own_arrays(single)]
    pool.submit(1, options_of_task(Options(), 1, np.inf, 2))
    assert not any(array() is not None for array in before)
    np.testing.assert_array_equal(network.value(np.ones((1, 6))), value)
    copies = [*own_arrays(network), *own_arrays(inline.tasks[0].parcel.open().networks[0].network)]
    assert all(isinstance(root(array), mmap.mmap) for array in [*copies, *own_arrays(single)])
    first = copies[0].ravel()[:1].tobytes()
    with open(inline.tasks[0].parcel.path, "r+b") as file:  # what is written there is seen by all
        content = file.read()
        file.seek(content.index(copies[0].tobytes()))
        file.write(bytes(len(first)))
    assert copies[0].ravel()[0] == copies[len(copies) // 2].ravel()[0] == 0.0
    pool.close()


def own_arrays(network: Network) -> list[np.ndarray]:
    return [getattr(layer.weights[0], "held", layer.weights[0]) for layer in network.layers]


def root(array):
    """What owns the memory of an array."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def test_a_search_finds_the_same_point(pair):
    found = [maximize(network, [1.0, -1.0], lower=-1, upper=1, iteration_limit=60) for network in pair]
    assert found[1].value == pytest.approx(found[0].value, rel=1e-9)
    with packed(array_problem(pair[1], [1.0, -1.0], -1.0, 1.0)) as parcel:
        assert isinstance(parcel.read().networks[0].network.layers[0].weights[0], WidenedMatrix)


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 3, 9])
def test_rows_times_a_transpose_are_the_same_in_each_way(rows, is_small, monkeypatch):
    monkeypatch.setattr(linear_maps, "MIN_ENTRIES", 10**9 if is_small else 0)
    random = np.random.default_rng(rows)
    matrix, batch = random.random((40, 70), np.float32), random.random((rows, 70), np.float32)
    result = linear_maps.Transposed(matrix).after(batch)
    assert result.flags.c_contiguous
    assert result.dtype == np.float32
    assert np.allclose(result, batch @ matrix.T, rtol=1e-6)
