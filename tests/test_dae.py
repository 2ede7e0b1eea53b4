"""Network blocks over a ContinuousSet of pyomo.dae that is discretised afterwards."""

import itertools

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo import dae

from pyomo_relugrad import DataHull
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.network import Network

RATE = Network.from_layers([[[-1.0, 1.0], [1.0, 0.5]], [[0.7, -0.4]]], [[0.2, 0.1], [0.3]])

SCHEMES = {
    "backward": ("dae.finite_difference", {"nfe": 4, "scheme": "BACKWARD"}),
    "forward": ("dae.finite_difference", {"nfe": 2, "scheme": "FORWARD"}),
    "central": ("dae.finite_difference", {"nfe": 4, "scheme": "CENTRAL"}),
    "radau": ("dae.collocation", {"nfe": 2, "ncp": 2, "scheme": "LAGRANGE-RADAU"}),
    "legendre": ("dae.collocation", {"nfe": 2, "ncp": 2, "scheme": "LAGRANGE-LEGENDRE"}),
}
FORMS = {
    "function": lambda m: ReluNetworkBlock(m.t, network=RATE, inputs=lambda m, t: [m.x[t], m.u[t]]),
    "outputs too": lambda m: ReluNetworkBlock(
        m.t, network=RATE, inputs=lambda m, t: [m.x[t], m.u[t]], outputs=lambda m, t: [m.rate[t]]
    ),
    "rule": lambda m: ReluNetworkBlock(m.t, rule=lambda b, t: b.build(RATE, inputs=[m.x[t], m.u[t]])),
}


def reactor(form="function"):
    """dx/dt = network(x, u), to be brought as high as possible by u."""
    m = pyo.ConcreteModel()
    m.t = dae.ContinuousSet(bounds=(0, 1))
    m.x = pyo.Var(m.t, bounds=(-5, 5))
    m.u = pyo.Var(m.t, bounds=(-1, 1))
    m.rate = pyo.Var(m.t)
    m.dx = dae.DerivativeVar(m.x, wrt=m.t)
    m.nn = FORMS[form](m)
    m.ode = pyo.Constraint(m.t, rule=lambda m, t: m.dx[t] == m.nn[t].outputs[0])
    m.x[0].fix(0)
    m.o = pyo.Objective(expr=m.x[1], sense=pyo.maximize)
    return m


def discretised(scheme, form="function"):
    m = reactor(form)
    transformation, options = SCHEMES[scheme]
    pyo.TransformationFactory(transformation).apply_to(m, **options)
    return m


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_point_of_the_discretised_set_has_its_network(scheme, form, caplog):
    m = discretised(scheme, form)
    assert caplog.text == ""
    assert list(m.nn) == list(m.t)
    assert all([v.name for v in m.nn[t].inputs.values()] == [m.x[t].name, m.u[t].name] for t in m.t)
    given = ([m.rate[t].name] if form == "outputs too" else [m.nn[t].outputs[0].name] for t in m.t)
    assert [[v.name for v in m.nn[t].outputs.values()] for t in m.t] == list(given)


@pytest.mark.parametrize(
    ("scheme", "form"), [*((scheme, "function") for scheme in SCHEMES), ("radau", "outputs too"), ("radau", "rule")]
)
def test_discretised_models_are_solved_as_their_expansions_are(scheme, form):
    m = discretised(scheme, form)
    pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=20))
    found = pyo.value(m.o)
    for t in m.t:
        expected = RATE.value(np.array([[m.x[t].value, m.u[t].value]]))[0, 0]
        assert m.nn[t].outputs[0].value == pytest.approx(expected, abs=1e-6)
    pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    pyo.SolverFactory("appsi_highs").solve(m)
    assert pyo.value(m.o) == pytest.approx(found, abs=1e-3)


def test_the_backward_scheme_is_euler_s():
    m = reactor()
    pyo.TransformationFactory("dae.finite_difference").apply_to(m, nfe=4, scheme="BACKWARD")
    pyo.SolverFactory("relugrad.exact").solve(m, time_limit=20)
    for before, after in itertools.pairwise(m.t):
        step = RATE.value(np.array([[m.x[after].value, m.u[after].value]]))[0, 0] * (after - before)
        assert m.x[after].value == pytest.approx(m.x[before].value + step, abs=1e-5)


def test_fewer_controls_than_collocation_points():
    m = reactor()
    discretizer = pyo.TransformationFactory("dae.collocation")
    discretizer.apply_to(m, nfe=2, ncp=3, scheme="LAGRANGE-RADAU")
    discretizer.reduce_collocation_points(m, var=m.u, ncp=1, contset=m.t)
    pyo.assert_optimal_termination(pyo.SolverFactory("relugrad.exact").solve(m, time_limit=20))
    assert len({round(m.u[t].value, 6) for t in m.t if 0 < t <= 0.5}) == 1


def test_a_hull_over_the_set_grows_with_it(caplog):
    m = reactor()
    m.hull = DataHull(m.t, inputs=lambda m, t: [m.x[t], m.u[t]], data=[[-1, -1], [-1, 1], [2, -0.5], [2, 0.5]])
    pyo.TransformationFactory("dae.finite_difference").apply_to(m, nfe=4)
    assert caplog.text == ""
    assert all(m.hull[t].hulls.points.shape == (4, 2) for t in m.t)


def test_a_model_that_is_not_discretised_is_refused():
    with pytest.raises(IncompatibleModel, match=r"DerivativeVar 'dx.*apply .*dae\.collocation.*dae\.finite_difference"):
        pyo.SolverFactory("relugrad").solve(reactor())


def test_integrals_are_refused_until_they_are_discretised():
    m = reactor()
    m.area = dae.Integral(m.t, wrt=m.t, rule=lambda m, t: m.x[t])
    m.goal = pyo.Constraint(expr=m.area <= 1)
    m.del_component(m.ode)
    m.del_component(m.dx)
    with pytest.raises(IncompatibleModel, match=r"Integral 'area'.*apply .*dae\.collocation"):
        pyo.SolverFactory("relugrad").solve(m)
    pyo.TransformationFactory("dae.finite_difference").apply_to(m, nfe=3)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=20)
    assert pyo.value(m.area) <= 1 + 1e-6
