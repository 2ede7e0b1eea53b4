"""Ensembles of networks as one network, and margins from held-out data."""

import numpy as np
import pyomo.environ as pyo
import pytest
from random_networks import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad import Ensemble, conformal_margin
from pyomo_relugrad.errors import ModelError

MEMBERS = [
    random_network(widths, seed) for seed, widths in enumerate([[3, 5, 2], [3, 4, 6, 2], [3, 2], [3, 7, 2], [3, 5, 2]])
]
POINTS = np.random.default_rng(0).normal(size=(200, 3))
VALUES = np.stack([member.value(POINTS) for member in MEMBERS])


def test_the_mean_of_members():
    ensemble = Ensemble(MEMBERS)
    mean = ensemble.mean()
    assert mean.n_relus == sum(member.n_relus for member in MEMBERS)
    assert len(mean.widths) == 2  # layers of one depth are one layer
    np.testing.assert_allclose(mean.value(POINTS), VALUES.mean(axis=0), atol=1e-12)
    np.testing.assert_array_equal(ensemble.values(POINTS), VALUES)
    assert len(ensemble) == len(list(ensemble)) == 5


@pytest.mark.parametrize("n_members", [1, 2, 5])
@pytest.mark.parametrize("share", [0.01, 0.4, 0.5, 0.6, 0.61, 1.0])
def test_values_that_a_share_reaches_or_keeps(n_members, share):
    ensemble, values = Ensemble(MEMBERS[:n_members]), VALUES[:n_members]
    reached, kept = ensemble.reached_by(share).value(POINTS), ensemble.kept_by(share).value(POINTS)
    enough = share * n_members - 1e-9
    assert ((values >= reached - 1e-12).sum(axis=0) >= enough).all()
    assert ((values <= kept + 1e-12).sum(axis=0) >= enough).all()
    assert ((values >= reached + 1e-9).sum(axis=0) < max(enough, 1)).all()  # and no larger value is reached
    assert ((values <= kept - 1e-9).sum(axis=0) < max(enough, 1)).all()


def test_an_ensemble_in_a_model():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.mean = relugrad.ReluNetworkBlock(network=Ensemble(MEMBERS).mean(), inputs=m.x)
    m.worst = relugrad.ReluNetworkBlock(network=Ensemble(MEMBERS).reached_by(), inputs=m.x)
    m.row = pyo.Constraint(expr=m.worst.outputs[1] >= -1.0)
    m.best = pyo.Objective(expr=m.mean.outputs[0], sense=pyo.maximize)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=30)
    point = np.array([[m.x[k].value for k in range(3)]])
    assert min(member.value(point)[0, 1] for member in MEMBERS) >= -1.0 - 1e-6


def test_members_that_do_not_fit():
    with pytest.raises(ModelError, match=r"the members of the ensemble are 'surrogate\.onnx'"):
        Ensemble("surrogate.onnx")
    with pytest.raises(ModelError, match="members is empty: give one network or more"):
        Ensemble([])
    with pytest.raises(ModelError, match="member 1 of the ensemble has 2 inputs and 1 outputs, and member 0 has 3"):
        Ensemble([MEMBERS[0], random_network([2, 1], 0)])
    with pytest.raises(ModelError, match=r"member 1 of the ensemble has other names .*with_names"):
        Ensemble([MEMBERS[0], MEMBERS[1].with_names(["a", "b", "c"])])
    with pytest.raises(ModelError, match="the share of the members is 0: give a number above 0"):
        Ensemble(MEMBERS).reached_by(0)


def test_ensembles_of_scikit_learn():
    pytest.importorskip("sklearn")
    from sklearn.ensemble import BaggingRegressor, VotingRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor

    X = np.random.default_rng(1).normal(size=(60, 4))
    y = abs(X[:, 0]) + X[:, 1]
    options = {"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0}
    for model in (
        BaggingRegressor(MLPRegressor(**options), 3, max_features=0.5, random_state=0),
        VotingRegressor([("a", MLPRegressor(**options)), ("b", LinearRegression())]),
    ):
        network = relugrad.load_sklearn(model.fit(X, y))
        np.testing.assert_allclose(network.value(X)[:, 0], model.predict(X), atol=1e-9)


class TestMargin:
    def test_new_values_are_within_it(self):
        rng, truth = np.random.default_rng(0), np.linspace(-5.0, 20.0, 39)
        for side in ("both", "lower", "upper"):
            kept = []
            for _ in range(400):
                errors = rng.gamma(2.0, size=40) * rng.choice([-1.0, 1.0], size=40)
                margin = conformal_margin(truth + errors[:39], truth, risk=0.2, side=side)
                new = {"both": abs(errors[39]), "lower": errors[39], "upper": -errors[39]}[side]
                kept.append(new <= margin)
            assert 0.76 < np.mean(kept) < 0.86

    def test_the_smallest_number_of_rows(self):
        assert conformal_margin(np.arange(9.0), np.zeros(9), risk=0.1) == 8.0
        with pytest.raises(ModelError, match=r"8 rows are too few for a risk of 0\.1: give 9 or more"):
            conformal_margin(np.arange(8.0), np.zeros(8), risk=0.1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([1.0], [[1.0, 2.0]]), r"predicted has shape \(1,\) and measured \(1, 2\)"),
            (([1.0, np.nan], [1.0, 2.0]), r"predicted\[1\] is nan, no finite number"),
            (([1.0], [1.0], 1.5), r"the risk is 1\.5"),
            (([1.0], [1.0], 0.6, "left"), "unknown side 'left'"),
        ],
    )
    def test_refusals(self, arguments, message):
        with pytest.raises(ModelError, match=message):
            conformal_margin(*arguments)
