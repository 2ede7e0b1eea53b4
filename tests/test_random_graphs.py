"""A sample of the harness of random and mutated graphs, and that it sees what is wrong."""

from collections import Counter

import numpy as np
import pytest
from graph_judgement import Reading, read
from graph_mutations import graph_content
from onnx import helper
from onnx_models import make_model

from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.readers.onnx.graph import RULES
from pyomo_relugrad.readers.onnx.original import Original

#: Kinds of nodes that are left out of the sample.
WITHOUT = ()

SEED = 6


def judgements(count):
    return [read(graph_content(SEED, index, WITHOUT)).judged(index) for index in range(count)]


def test_random_and_mutated_graphs_agree_or_are_refused():
    found = judgements(400)
    assert [judgement.fault for judgement in found if judgement.fault] == []
    outcomes = Counter(judgement.outcome for judgement in found)
    assert outcomes["read, agrees"] > 100
    assert sum(count for outcome, count in outcomes.items() if outcome.startswith("refused")) > 100


@pytest.mark.parametrize("compared", [True, False])
@pytest.mark.parametrize("operator", ["Relu", "Add", "MatMul", "Concat", "ReduceMax"])
def test_a_rule_that_is_a_little_wrong_is_seen(operator, compared, monkeypatch):
    """By the reader's own comparison with the file, which refuses; without it, by the judge."""
    rule = RULES[""][operator]

    def wrong(node, hidden):
        result = rule(node, hidden)
        return [part.scaled(np.array(1.0 + 1e-4)) for part in (result if isinstance(result, list) else [result])]

    monkeypatch.setitem(RULES[""], operator, wrong)
    if not compared:
        monkeypatch.setattr(Original, "disagreement", lambda *_: None)
    found = (
        read(graph_content(SEED, index, WITHOUT)).judged(index).outcome for index in range(150 if compared else 1000)
    )
    assert any(outcome == "FAULT: wrong value" for outcome in found) != compared


def model(*nodes, shape=("N", 2), **stored):
    return make_model(list(nodes), shape, {name: np.float32(value) for name, value in stored.items()})


def judged(graph, network):
    return Reading(graph.SerializeToString(), network, None, 0.0).judged()


def test_a_limit_that_swallows_the_variable_is_seen():
    graph = model(helper.make_node("Max", ["x", "c"], ["y"]), c=-1e30)
    eye = np.eye(2)
    swallowing = Network.from_layers([eye, eye], [[1e30, 1e30], [-1e30, -1e30]])
    assert judged(graph, swallowing).outcome == "FAULT: wrong value"
    assert judged(graph, Network.from_layers([eye], [[0.0, 0.0]])).outcome == "read, agrees"


def test_what_float32_rounds_off_is_no_fault_and_more_is():
    nodes = [helper.make_node("Add", ["x", "c"], ["a"]), helper.make_node("Sub", ["a", "c"], ["y"])]
    graph, eye = model(*nodes, c=1e4), np.eye(2)
    assert judged(graph, Network.from_layers([eye], [[0.0, 0.0]])).outcome == "read, agrees"
    assert judged(graph, Network.from_layers([eye], [[0.0, 0.1]])).outcome == "FAULT: wrong value"


def test_a_jump_is_no_fault_at_its_point_alone():
    nodes = [helper.make_node("Sign", ["x"], ["s"]), helper.make_node("Abs", ["s"], ["y"])]
    ones = Network.from_layers([np.zeros((2, 2))], [[1.0, 1.0]])
    assert judged(model(*nodes), ones).outcome == "read, agrees"
    assert judged(model(nodes[0], helper.make_node("Identity", ["s"], ["y"])), ones).outcome == "FAULT: wrong value"


def test_slopes_of_channels_are_not_judged_by_the_converter_that_moves_them():
    """Operator sets before 7 have a slope per channel; ONNX's converter makes one of the last dimension of it."""
    prelu = helper.make_node("PRelu", ["x", "c"], ["y"])
    for slopes, outcome in [([0.1, 0.2], "read, not run by onnxruntime"), ([0.1], "read, agrees")]:
        content = make_model([prelu], (1, 2, 1), {"c": np.float32(slopes)}, opset=6, ir=4).SerializeToString()
        assert read(content).judged().outcome == outcome


def test_a_network_of_another_size_is_seen():
    graph = model(helper.make_node("Relu", ["x"], ["y"]))
    assert "outputs" in judged(graph, Network(2, (Layer((0,), (np.eye(3, 2),), np.zeros(3)),))).fault
    assert "inputs" in judged(graph, Network.from_layers([np.eye(3)], [np.zeros(3)])).fault


def test_a_valid_file_called_invalid_is_seen(monkeypatch):
    def invalid(node, hidden):
        raise ValueError("nothing is right")

    monkeypatch.setitem(RULES[""], "Relu", invalid)
    content = model(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    assert read(content).judged().outcome == "FAULT: called invalid"


def test_an_error_of_another_kind_is_seen():
    content = model(helper.make_node("Relu", ["x"], ["y"])).SerializeToString()
    assert Reading(content, None, KeyError("x"), 0.0).judged().outcome == "FAULT: raw error"
