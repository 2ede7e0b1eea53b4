"""Loop and Scan: unrolled where the number of trips is known, against onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkFileError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


def info(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def loop_body(nodes, *collected, condition=None):
    """A body with one carried tensor, from `a` to `b`; it reads tensors from outside by their names."""
    going = condition or [node("Identity", ["go"], ["go_on"])]
    return helper.make_graph(
        [*nodes, *going],
        "body",
        [info("i", INT64, ()), info("go", BOOL, ()), info("a")],
        [info("go_on", BOOL, ()), info("b"), *map(info, collected)],
    )


STEP = [node("MatMul", ["a", "w"], ["m"]), node("Add", ["m", "x"], ["s"]), node("Relu", ["s"], ["b"])]
STORED = {"w": weights(0, 4, 4), "n": np.array(3), "zero": np.zeros((1, 4), np.float32)}


class TestLoop:
    def test_layers_that_read_the_input(self):
        nodes = [node("Loop", ["n", "", "x"], ["y"], body=loop_body(STEP))]
        network = assert_agrees(make_model(nodes, (1, 4), STORED))
        assert network.widths == (4, 4, 4)

    def test_over_constants(self):
        body = loop_body([node("MatMul", ["a", "w"], ["b"])])
        nodes = [node("Loop", ["n", "", "w"], ["p"], body=body), node("MatMul", ["x", "p"], ["y"])]
        assert assert_agrees(make_model(nodes, (1, 4), STORED)).n_relus == 0

    @pytest.mark.parametrize("carried", ["x", "zero"])
    def test_collects(self, carried):
        nodes = [node("Loop", ["n", "", carried], ["e", "y"], body=loop_body([*STEP, node("Neg", ["b"], ["c"])], "c"))]
        assert_agrees(make_model(nodes, (1, 4), STORED, outputs=("e", "y")))

    def test_reads_the_number_of_its_trip(self):
        step = [node("Cast", ["i"], ["f"], to=FLOAT), node("Mul", ["f", "x"], ["t"]), node("Add", ["a", "t"], ["b"])]
        assert_agrees(make_model([node("Loop", ["n", "", "x"], ["y"], body=loop_body(step))], (1, 4), STORED))

    def test_ends_by_its_condition(self):
        going = [node("Less", ["i", "n"], ["go_on"])]
        nodes = [node("Loop", ["", "", "x"], ["y"], body=loop_body(STEP, condition=going))]
        assert assert_agrees(make_model(nodes, (1, 4), STORED)).n_relus == 16

    def test_inside_a_loop(self):
        inner = helper.make_graph(
            [node("Add", ["p", "a"], ["q"]), node("Identity", ["on"], ["off"])],
            "inner",
            [info("j", INT64, ()), info("on", BOOL, ()), info("p")],
            [info("off", BOOL, ()), info("q")],
        )
        outer = loop_body([node("Loop", ["n", "", "a"], ["b"], body=inner)])
        assert_agrees(make_model([node("Loop", ["n", "", "x"], ["y"], body=outer)], (1, 4), STORED))

    def test_no_trip(self):
        stored = STORED | {"n": np.array(0)}
        assert_agrees(make_model([node("Loop", ["n", "", "x"], ["y"], body=loop_body(STEP))], (1, 4), stored))
        nodes = [node("Loop", ["n", "", "x"], ["e", "y"], body=loop_body([*STEP, node("Neg", ["b"], ["c"])], "c"))]
        with pytest.raises(UnsupportedOperatorError, match=r"Loop makes no trip"):
            load_onnx(make_model(nodes, (1, 4), stored))

    @pytest.mark.parametrize("trips", [10**12, ""])
    def test_that_does_not_end(self, trips, monkeypatch):
        monkeypatch.setattr("pyomo_relugrad.readers.onnx.subgraphs.MAX_UNROLLED", 100)
        stored = STORED | {"n": np.array(10**12)}
        nodes = [
            node(
                "Loop",
                ["n" if trips else "", "", "zero"],
                ["z"],
                name="long",
                body=loop_body([node("Add", ["a", "a"], ["b"])]),
            ),
            node("Add", ["x", "z"], ["y"]),
        ]
        with pytest.raises(UnsupportedOperatorError, match=r"node 'long': Loop runs more than 100 nodes") as error:
            load_onnx(make_model(nodes, (1, 4), stored))
        assert error.value.node == "long"

    def test_whose_end_depends_on_the_input(self):
        going = [node("ReduceSum", ["b"], ["t"], keepdims=0), node("Less", ["t", "t"], ["go_on"])]
        nodes = [node("Loop", ["n", "", "x"], ["y"], body=loop_body(STEP, condition=going))]
        with pytest.raises(UnsupportedOperatorError, match=r"Loop ends where a value .* not piecewise linear"):
            load_onnx(make_model(nodes, (1, 4), STORED))

    def test_body_that_is_not_piecewise_linear(self):
        nodes = [node("Loop", ["n", "", "x"], ["y"], body=loop_body([node("Tan", ["a"], ["b"], name="inner")]))]
        with pytest.raises(UnsupportedOperatorError, match=r"node 'inner': Tan .*not piecewise linear"):
            load_onnx(make_model(nodes, (1, 4), STORED))

    def test_body_that_takes_something_else(self):
        nodes = [node("Loop", ["n", "", "x", "x"], ["y", "z"], body=loop_body(STEP))]
        with pytest.raises(NetworkFileError, match=r"body takes 3 tensors, and is given 4"):
            load_onnx(make_model(nodes, (1, 4), STORED))


CELL = helper.make_graph(
    [
        node("MatMul", ["h", "w"], ["m"]),
        node("Add", ["m", "row"], ["s"]),
        node("Relu", ["s"], ["t"]),
        node("Mul", ["t", "w0"], ["o"]),
    ],
    "cell",
    [info("h"), info("row")],
    [info("t"), info("o")],
)


class TestScan:
    """A recurrent network of ReLUs."""

    stored = STORED | {"w0": weights(1, 4)}

    @pytest.mark.parametrize("backwards", [0, 1])
    @pytest.mark.parametrize("axis", [0, 1])
    def test_recurrent_cell(self, backwards, axis):
        options = {"scan_input_axes": [axis], "scan_input_directions": [backwards]}
        options |= {"scan_output_axes": [axis], "scan_output_directions": [1 - backwards]}
        shape = (3, 4) if axis == 0 else (4, 3)
        nodes = [node("Scan", ["start", "x"], ["e", "y"], body=CELL, num_scan_inputs=1, **options)]
        stored = self.stored | {"start": weights(2, 4)}
        network = assert_agrees(make_model(nodes, shape, stored, outputs=("e", "y")))
        assert network.n_relus == 12

    def test_over_constants(self):
        nodes = [
            node("Scan", ["start", "c"], ["e", "z"], body=CELL, num_scan_inputs=1),
            node("Add", ["x", "z"], ["y"]),
        ]
        stored = self.stored | {"start": weights(2, 4), "c": weights(3, 3, 4)}
        assert assert_agrees(make_model(nodes, (3, 4), stored)).n_relus == 0

    def test_slices_of_different_numbers(self):
        body = helper.make_graph([node("Add", ["p", "q"], ["r"])], "b", [info("p"), info("q")], [info("r")])
        nodes = [node("Scan", ["x", "c"], ["y"], body=body, num_scan_inputs=2)]
        with pytest.raises(NetworkFileError, match=r"\[2, 3\] slices"):
            load_onnx(make_model(nodes, (3, 4), {"c": weights(0, 2, 4)}))

    def test_of_operator_set_8(self):
        body = helper.make_graph([node("Neg", ["p"], ["r"])], "b", [info("p")], [info("r")])
        nodes = [node("Scan", ["", "x"], ["y"], body=body, num_scan_inputs=1)]
        with pytest.raises(UnsupportedOperatorError, match=r"Scan of operator set 8"):
            load_onnx(make_model(nodes, (1, 3, 4), opset=8))
