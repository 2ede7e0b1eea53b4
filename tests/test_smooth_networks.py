"""Networks of smooth neurons, alone and among ReLUs: evaluated, bounded, searched, proven; what needs ReLUs refuses."""

import io
import pickle

import numpy as np
import onnx.parser
import pyomo.environ as pyo
import pytest

from pyomo_relugrad import ReluNetworkBlock, maximize
from pyomo_relugrad.cli.main import main
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.network import (
    RELU,
    Layer,
    Network,
    crown_bounds,
    interval_bounds,
    network_statistics,
    prune_weights,
)
from pyomo_relugrad.network.building import (
    compose,
    fold_scaling,
    rescale_neurons,
    with_unit_rows,
    without_stable_neurons,
)
from pyomo_relugrad.network.curves import EXP, GELU, SIGMOID, SILU, TANH
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective
from pyomo_relugrad.proof import prove, prove_by_milp
from pyomo_relugrad.search import METHODS
from pyomo_relugrad.solve import Portfolio, search, solve_exactly


def network_of(*activations, n_inputs=2, width=5, seed=0):
    """Layers of these activations, of which each reads the input and the layer before it."""
    rng = np.random.default_rng(seed)
    layers = []
    for index, activation in enumerate((*activations, RELU)):
        sources = (0, index) if index else (0,)
        sizes = [width if source else n_inputs for source in sources]
        rows = width if index < len(activations) else 2
        weights = tuple(rng.normal(size=(rows, size)) * 1.2 / np.sqrt(size) for size in sizes)
        layers.append(Layer(sources, weights, 0.3 * rng.normal(size=rows), activation))
    return Network(n_inputs, tuple(layers), name="smooth")


NETWORKS = [
    network_of(TANH, SIGMOID),
    network_of(GELU, RELU, SILU),
    network_of(RELU, TANH),
    network_of(EXP),
]
POINTS = np.random.default_rng(1).uniform(-1, 1, (40, 2))
by_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: "-".join(network.smooth_activations))


def box_problem(network, sign=1.0):
    """The sum of the outputs over a box."""
    cost = np.concatenate([np.zeros(network.n_inputs), sign * np.ones(network.n_outputs)])
    free = np.full(network.n_outputs, np.inf)
    columns = np.arange(cost.size)
    return Problem(
        cost,
        np.concatenate([-np.ones(network.n_inputs), -free]),
        np.concatenate([np.ones(network.n_inputs), free]),
        networks=(EmbeddedNetwork(network, columns[: network.n_inputs], columns[network.n_inputs :], "nn"),),
    )


def best_on_a_grid(problem):
    steps = np.linspace(-1, 1, 201)
    U = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return float(ReducedObjective(problem).value(U).min())


class TestNetwork:
    @by_network
    def test_derivatives(self, network):
        weights, step = np.array([1.0, -2.0]), 1e-6
        outputs, gradient = network.value_and_gradient(POINTS, weights)
        assert outputs == pytest.approx(network.value(POINTS))
        for place, direction in enumerate(np.eye(2)):
            change = (network.value(POINTS + step * direction) - network.value(POINTS - step * direction)) / (2 * step)
            assert gradient[:, place] == pytest.approx(change @ weights, rel=1e-6, abs=1e-7)
            assert network.linearize(POINTS, np.tile(direction, (len(POINTS), 1)))[1][-1] == pytest.approx(
                change, rel=1e-6, abs=1e-7
            )
        jacobians, offsets = network.affine(POINTS)
        assert np.einsum("o,boi->bi", weights, jacobians) == pytest.approx(gradient)
        assert np.einsum("boi,bi->bo", jacobians, POINTS) + offsets == pytest.approx(outputs)

    @by_network
    def test_patterns_are_slopes(self, network):
        outputs, pattern = network.value_and_pattern(POINTS)
        assert pattern.shape == (40, network.n_neurons)
        assert outputs == pytest.approx(network.value(POINTS))
        last = len(network.layers) - 1
        seeds = np.tile([1.0, 1.0], (40, 1))
        assert network.pull_back(pattern, last, seeds) == pytest.approx(network.value_and_gradient(POINTS, seeds)[1])
        assert network.affine(POINTS, pattern)[1] == pytest.approx(network.affine(POINTS)[1])

    def test_counts(self):
        network = NETWORKS[1]
        assert (network.n_neurons, network.n_relus, network.is_piecewise_linear) == (15, 5, False)
        assert network.smooth_activations == ("gelu", "silu")
        assert Network.from_layers([[[1.0]], [[1.0]]], [[0.0], [0.0]]).smooth_activations == ()

    @by_network
    def test_copies_keep_the_activations(self, network):
        exact = network.value(POINTS)
        assert pickle.loads(pickle.dumps(network)).value(POINTS) == pytest.approx(exact, abs=0)
        assert network.astype(np.float32).value(POINTS) == pytest.approx(exact, rel=1e-4, abs=1e-4)
        assert prune_weights(network, 0.0).value(POINTS) == pytest.approx(exact)

    def test_there_are_no_regions(self):
        pattern = NETWORKS[0].activation_pattern(POINTS)
        for ask in (
            lambda: NETWORKS[0].region(POINTS[0]),
            lambda: NETWORKS[0].preactivations(POINTS, pattern),
        ):
            with pytest.raises(NetworkValueError, match=r"smooth 2-5-5-2> has tanh, sigmoid neurons, and so no linear"):
                ask()


class TestRewrites:
    @by_network
    def test_values_stay(self, network):
        box, exact = (-np.ones(2), np.ones(2)), network.value(POINTS)
        for rewritten in (
            without_stable_neurons(network, *box),
            rescale_neurons(network, *box),
            with_unit_rows(network),
        ):
            assert rewritten.value(POINTS) == pytest.approx(exact)
        unit = np.zeros(2), np.full(2, 2.0)
        assert fold_scaling(network, *unit, *unit).value(2 * POINTS) == pytest.approx(2 * exact)
        twice = compose(
            np.arange(2), [(network, np.arange(2), np.arange(2, 4)), (network, np.arange(2, 4), np.arange(4, 6))]
        )
        assert twice.value(POINTS) == pytest.approx(network.value(exact))


class TestBounds:
    @by_network
    @pytest.mark.parametrize("steps", [0, 5])
    def test_values_lie_within(self, network, steps):
        rng = np.random.default_rng(2)
        lower = rng.uniform(-1, 0.5, (12, 2))
        upper = lower + rng.choice([0.0, 0.01, 0.3, 1.5], (12, 1))
        X = lower[:, None] + rng.random((12, 200, 2)) * (upper - lower)[:, None]
        Y = network.value(X.reshape(-1, 2)).reshape(12, 200, 2)
        bounds, intervals = (
            crown_bounds(network, lower, upper, slope_steps=steps),
            interval_bounds(network, lower, upper),
        )
        for found in (bounds, intervals):
            assert (found.output_lower[:, None] <= Y).all()
            assert (found.output_upper[:, None] >= Y).all()
        assert (bounds.output_upper - bounds.output_lower <= intervals.output_upper - intervals.output_lower).all()
        for sign, side in ((1.0, "lower"), (-1.0, "upper")):
            slopes, constants = getattr(bounds, f"{side}_coefficients"), getattr(bounds, f"{side}_constants")
            lines = np.einsum("boi,bpi->bpo", slopes, X) + constants[:, None]
            assert (sign * lines <= sign * Y + 1e-9).all()

    def test_lines_of_smooth_neurons_stay(self):
        """Only the slopes of ReLUs' lower lines are chosen; those of an exponential may be above 1."""
        network = Network.from_layers([[[5.0]], [[1.0]]], [[1.5], [0.0]], activation=EXP)
        plain, chosen = (crown_bounds(network, [[-1.0]], [[0.5]], slope_steps=steps) for steps in (0, 5))
        assert chosen.lower_coefficients == pytest.approx(plain.lower_coefficients)
        assert plain.lower_coefficients[0, 0, 0] > 5.0
        X = np.linspace(-1.0, 0.5, 50)[:, None]
        assert (chosen.lower_coefficients[0, 0, 0] * X + chosen.lower_constants <= network.value(X) + 1e-9).all()

    def test_unbounded_boxes(self):
        bounds = crown_bounds(NETWORKS[0], [[-np.inf, 0.0]], [[np.inf, 1.0]])
        assert not np.isnan([bounds.output_lower, bounds.output_upper]).any()
        assert np.isinf(bounds.output_upper).all()  # by the input that the output reads itself

    def test_states_are_those_of_relus(self):
        bounds = crown_bounds(NETWORKS[2], [[-1.0, -1.0]], [[1.0, 1.0]])
        assert bounds.unstable[0].any()
        assert not (bounds.active[1] | bounds.inactive[1] | bounds.unstable[1]).any()
        statistics = network_statistics(NETWORKS[2], -1, 1)
        assert (statistics.n_relus, statistics.regions_per_segment) == (5, None)


class TestProblems:
    @by_network
    def test_search_and_proof(self, network):
        problem = box_problem(network)
        best = best_on_a_grid(problem)
        found = search(problem, iteration_limit=300).incumbent
        assert found.is_feasible
        assert found.objective <= best + 1e-6
        proven = prove(problem, relative_gap=1e-4)
        assert proven.stop.value == "optimal"
        assert proven.bound <= found.objective + 1e-9
        assert proven.bound == pytest.approx(best, rel=1e-3, abs=1e-3)

    def test_exact_solve_with_rows_on_outputs_and_an_integer(self):
        m = pyo.ConcreteModel()
        m.x, m.k = pyo.Var(bounds=(-1, 1)), pyo.Var(within=pyo.Integers, bounds=(-2, 2))
        m.nn = ReluNetworkBlock(network=NETWORKS[0], inputs=[m.x, m.k])
        m.row = pyo.Constraint(expr=m.nn.outputs[0] + m.x <= 0.4)
        m.o = pyo.Objective(expr=m.nn.outputs[1] - 0.1 * m.k, sense=pyo.maximize)
        results = pyo.SolverFactory("relugrad.exact").solve(m, rel_gap=1e-4)
        assert results.solver.termination_condition == "optimal"
        X = np.stack(np.meshgrid(np.linspace(-1, 1, 4001), np.arange(-2, 3)), axis=-1).reshape(-1, 2)
        Y = NETWORKS[0].value(X)
        best = (Y[:, 1] - 0.1 * X[:, 1])[Y[:, 0] + X[:, 0] <= 0.4].max()
        assert pyo.value(m.o) == pytest.approx(best, rel=1e-3)
        assert pyo.value(m.row.body) <= 0.4 + 1e-6

    def test_polytope(self):
        rows = {"A": [[1.0, 1.0]], "row_upper": 0.2}
        found = maximize(NETWORKS[1], [1.0, 0.0], -1.0, 1.0, **rows, iteration_limit=300)
        X = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 401)]), axis=-1).reshape(-1, 2)
        X = X[X.sum(axis=1) <= 0.2]
        assert found.value >= NETWORKS[1].value(X)[:, 0].max() - 1e-6

    @pytest.mark.parametrize("name", sorted(set(METHODS) - {"auto", "neighbourhoods", "sequential-lp"}))
    def test_methods_for_relus_say_so(self, name):
        method, problem = METHODS[name], box_problem(NETWORKS[0])
        if method.handles_smooth:
            assert search(problem, method, iteration_limit=5).incumbent.is_feasible
            return
        with pytest.raises(
            ModelError, match=f"'{name}' .*network 'nn' with tanh, sigmoid neurons is smooth; use .*'auto'"
        ):
            search(problem, method, iteration_limit=5)

    def test_mixed_integer_programs_are_refused(self):
        problem = box_problem(NETWORKS[0])
        with pytest.raises(ModelError, match=r"network 'nn' with tanh, sigmoid neurons is smooth, .*'relugrad.exact'"):
            prove_by_milp(problem)
        assert [route.value for route in Portfolio().routes_for(problem)] == ["branch and bound"]
        assert solve_exactly(problem, time_limit=20.0).stop.value == "optimal"


class TestWords:
    def test_statistics_of_a_block(self):
        m, out = pyo.ConcreteModel(), io.StringIO()
        m.x = pyo.Var([0, 1], bounds=(-1, 1))
        m.nn = ReluNetworkBlock(network=NETWORKS[2], inputs=m.x)
        m.nn.print_stats(out)
        lines = [line.split() for line in out.getvalue().splitlines()]
        assert ["2", "tanh", "7", "->", "5", "35", "0", "0", "0", "0"] in lines

    def test_log(self):
        m, out = pyo.ConcreteModel(), io.StringIO()
        m.x = pyo.Var([0, 1], bounds=(-1, 1))
        m.nn = ReluNetworkBlock(network=NETWORKS[2], inputs=m.x)
        m.o = pyo.Objective(expr=m.nn.outputs[0])
        pyo.SolverFactory("relugrad").solve(m, iteration_limit=3, tee=out)
        assert "1 block; 5 ReLUs, 5 smooth neurons, 59 weights" in out.getvalue()

    def test_report_of_the_command(self, capsys, tmp_path):
        graph = onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 2] x) => (float[N, 2] y) { y = Tanh(x) }'
        )
        onnx.save(graph, tmp_path / "smooth.onnx")
        assert main(["info", str(tmp_path / "smooth.onnx")]) == 0
        told = capsys.readouterr().out
        assert "Smooth    2 neurons: tanh" in told
        assert "1 layer of neurons and an affine output" in told


class TestExpansion:
    def model(self, network):
        m = pyo.ConcreteModel()
        m.x = pyo.Var([0, 1], bounds=(-1, 1), initialize=0.25)
        m.nn = ReluNetworkBlock(network=network, inputs=m.x)
        m.o = pyo.Objective(expr=m.nn.outputs[0])
        return m

    @pytest.mark.parametrize("formulation", ["full-space", "reduced-space"])
    @pytest.mark.parametrize(
        "network", [NETWORKS[0], NETWORKS[2], network_of(SILU, EXP)], ids=["smooth", "mixed", "others"]
    )
    def test_rows_hold_at_the_start(self, network, formulation):
        m = self.model(network)
        pyo.TransformationFactory("relugrad.omlt").apply_to(m, formulation=formulation)
        for row in m.component_data_objects(pyo.Constraint, active=True):
            assert pyo.value(row.lslack() if row.has_lb() else 0.0) >= -1e-9
            assert pyo.value(row.uslack() if row.has_ub() else 0.0) >= -1e-9
        assert m.nn.outputs[0].value == pytest.approx(network.value([[0.25, 0.25]])[0, 0])

    def test_expansion_is_read_back(self):
        m = self.model(NETWORKS[0])
        pyo.TransformationFactory("relugrad.omlt").apply_to(m)
        pyo.SolverFactory("relugrad").solve(m, iteration_limit=100)
        cost = box_problem(NETWORKS[0]).cost * [1, 1, 1, 0]
        assert pyo.value(m.o) <= best_on_a_grid(Problem(cost, *self._box())) + 1e-6

    def _box(self):
        problem = box_problem(NETWORKS[0])
        return problem.lower, problem.upper, None, None, None, None, problem.networks

    @pytest.mark.parametrize("formulation", ["bigm", "partition", "complementarity"])
    def test_formulations_of_relus_are_refused(self, formulation):
        with pytest.raises(ModelError, match=f"'nn' has tanh, sigmoid neurons, and '{formulation}' .*'full-space'"):
            pyo.TransformationFactory("relugrad.omlt").apply_to(self.model(NETWORKS[0]), formulation=formulation)

    def test_neurons_without_an_expression_are_refused(self):
        with pytest.raises(ModelError, match=r"'nn' has gelu neurons, which cannot be written .*'relugrad.exact'"):
            pyo.TransformationFactory("relugrad.omlt").apply_to(self.model(NETWORKS[1]))
