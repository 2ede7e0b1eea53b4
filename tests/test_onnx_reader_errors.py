"""What cannot be read: an error of ours that names the node and says what to do, soon and without much memory."""

import os
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from onnx import ModelProto, SparseTensorProto, TensorProto, helper
from onnx.external_data_helper import convert_model_to_external_data
from onnx_models import initializer, make_model, weights

from pyomo_relugrad.errors import (
    NetworkFileError,
    NetworkFileNotFoundError,
    NetworkValueError,
    RelugradError,
    UnsupportedOperatorError,
)
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node


def ints(*values):
    return np.array(values, np.int64)


def linear(**changes):
    return make_model([node("MatMul", ["x", "w"], ["y"], name="product")], ("N", 4), {"w": weights(0, 4, 3)}, **changes)


class TestFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(NetworkFileNotFoundError, match=r"there is no file .*absent\.onnx") as error:
            load_onnx(tmp_path / "absent.onnx")
        assert isinstance(error.value, FileNotFoundError | ValueError)

    def test_folder(self, tmp_path):
        with pytest.raises(NetworkFileError, match="cannot be read, Is a directory: give the path"):
            load_onnx(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"hello, I am no network", b"\x00" * 100, b"PK\x03\x04"])
    def test_other_content(self, tmp_path, content):
        path = tmp_path / "other.onnx"
        path.write_bytes(content)
        with pytest.raises(NetworkFileError, match=r"other\.onnx is not an ONNX file"):
            load_onnx(path)
        with pytest.raises(NetworkFileError, match="not an ONNX file"):
            load_onnx(content)

    def test_truncated(self, tmp_path):
        path = tmp_path / "half.onnx"
        content = linear().SerializeToString()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(NetworkFileError, match=r"half\.onnx.*(truncated|corrupt|no graph)"):
            load_onnx(path)

    def test_name_of_the_file_is_in_every_message(self, tmp_path):
        path = tmp_path / "smooth.onnx"
        path.write_bytes(make_model([node("Tan", ["x"], ["y"])], (1, 3)).SerializeToString())
        with pytest.raises(UnsupportedOperatorError, match=r"smooth\.onnx: "):
            load_onnx(path)

    def test_path_bytes_and_model_are_the_same(self, tmp_path):
        path = tmp_path / "linear.onnx"
        path.write_bytes(linear().SerializeToString())
        values = [load_onnx(source).value(np.eye(4)) for source in (path, str(path), path.read_bytes(), linear())]
        assert all(np.array_equal(values[0], other) for other in values[1:])
        assert load_onnx(path).name == "linear"

    def test_operator_set_is_missing_or_too_new(self):
        model = linear()
        model.opset_import[0].version = 1000
        with pytest.raises(NetworkFileError, match=r"operator set 1000.*upgrade"):
            load_onnx(model)
        del model.opset_import[:]
        with pytest.raises(NetworkFileError, match="operator set"):
            load_onnx(model)


class TestRefusals:
    """Operators that are not piecewise linear."""

    @pytest.mark.parametrize(
        ("operator", "advice"),
        [
            ("Hardmax", "export the network up to what goes into it .*tensor 'h'"),
            ("Sqrt", "export the network up to what goes into it .*tensor 'h'"),
            ("ArgMax", "scores"),
            ("Floor", "not continuous"),
            ("LayerNormalization", "not piecewise linear"),
            ("Sin", "piecewise linear"),
        ],
    )
    def test_at_the_end(self, operator, advice):
        inputs = ["h", "c"] if operator == "LayerNormalization" else ["h"]
        nodes = [node("Relu", ["x"], ["h"]), node(operator, inputs, ["y"], name="last")]
        with pytest.raises(UnsupportedOperatorError, match=f"node 'last': {operator} .*{advice}") as error:
            load_onnx(make_model(nodes, (1, 3), {"c": weights(0, 3)}))
        assert (error.value.node, error.value.operator) == ("last", operator)
        assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)

    def test_inside(self):
        nodes = [node("Tan", ["x"], ["h"]), node("Relu", ["h"], ["y"])]
        with pytest.raises(UnsupportedOperatorError, match="the unnamed node that computes 'h': Tan is not piecewise"):
            load_onnx(make_model(nodes, (1, 3)))

    def test_trees(self):
        tree = node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", n_targets=1)
        model = make_model([tree], (1, 3))
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
        with pytest.raises(UnsupportedOperatorError, match=r"made of decision trees .*GradientBoostedTreeModel"):
            load_onnx(model)

    def test_quantised(self):
        quantised = ["q", "scale", "zero"]
        nodes = [node("DynamicQuantizeLinear", ["x"], quantised), node("DequantizeLinear", quantised, ["y"])]
        with pytest.raises(
            UnsupportedOperatorError, match=r"DynamicQuantizeLinear .*as it was before it was quantised"
        ):
            load_onnx(make_model(nodes, (1, 3)))

    def test_quotients_of_variables(self):
        nodes = [node("Relu", ["x"], ["h"]), node("Div", ["x", "h"], ["y"])]
        with pytest.raises(UnsupportedOperatorError, match=r"Div .*the network's input"):
            load_onnx(make_model(nodes, (3, 3)))

    def test_choice_that_jumps(self):
        nodes = [node("Greater", ["x", "one"], ["c"]), node("Where", ["c", "x", "zero"], ["y"])]
        with pytest.raises(UnsupportedOperatorError, match="Where jumps"):
            load_onnx(make_model(nodes, (1, 3), {"one": np.float32(1), "zero": np.float32(0)}))

    @pytest.mark.parametrize(
        ("nodes", "reason"),
        [
            ([node("ThresholdedRelu", ["x"], ["y"], alpha=1.0)], "threshold other than zero"),
            ([node("Shrink", ["x"], ["y"], bias=0.1, lambd=0.5)], "jumps"),
            ([node("Greater", ["x", "c"], ["b"]), node("Add", ["b", "c"], ["y"])], "Greater jumps"),
            ([node("Cast", ["x"], ["y"], to=TensorProto.INT64)], "rounds"),
            ([node("CastLike", ["x", "k"], ["y"])], "rounds"),
            ([node("Greater", ["x", "c"], ["b"]), node("CastLike", ["x", "b"], ["y"])], "outcome of a comparison"),
            ([node("Clip", ["x", "s"], ["y"])], "from the network's input"),
            ([node("Slice", ["x", "i", "i"], ["y"])], "from the network's input"),
            ([node("ReduceL2", ["x"], ["y"])], "not piecewise linear"),
            ([node("If", ["x"], ["y"], then_branch=helper.make_graph([], "t", [], []))], "from the network's input"),
            ([node("Sign", ["x"], ["y"])], "not continuous"),
            ([node("Unique", ["x"], ["y"])], "not continuous"),
            ([node("Pow", ["x", "half"], ["y"])], "Pow is not piecewise linear"),
            ([node("Pow", ["two", "x"], ["y"])], "Pow takes its exponent from the network's input"),
            ([node("TopK", ["x", "ks"], ["y", "p"])], "TopK sorts, .* ReduceMax .* its scores, the tensor 'x'"),
            ([node("RandomNormal", [], ["r"], shape=[3]), node("Add", ["x", "r"], ["y"])], "random numbers"),
            ([node("SplitToSequence", ["x"], ["l"]), node("SequenceAt", ["l", "k"], ["y"])], "SplitToSequence .* list"),
            ([node("SequenceConstruct", ["x"], ["l"]), node("ConcatFromSequence", ["l"], ["y"], axis=1)], "a list of"),
            ([node("Elu", ["x"], ["y"], alpha=-1.0)], "negative alpha"),
            ([node("Celu", ["x"], ["y"], alpha=-1.0)], "without a positive alpha"),
            ([node("LSTM", ["x", "x", "x"], ["y"])], "recurrent"),
        ],
    )
    def test_other_forms(self, nodes, reason):
        first = [node("ReduceSum", ["x"], ["s"], keepdims=0), node("ReduceSum", ["x"], ["i"])]
        needed = first if any("s" in n.input or "i" in n.input for n in nodes) else []
        with pytest.raises(RelugradError, match=reason):
            load_onnx(
                make_model(
                    [*needed, *nodes],
                    (1, 3),
                    {
                        "c": np.float32(1),
                        "k": np.int64(1),
                        "ks": ints(1),
                        "two": np.float32(2),
                        "half": np.float32(0.5),
                    },
                )
            )

    def test_positions_of_maxima(self):
        nodes = [
            node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2]),
            node("Cast", ["i"], ["c"], to=TensorProto.FLOAT),
            node("Add", ["p", "c"], ["y"]),
        ]
        with pytest.raises(UnsupportedOperatorError, match="positions of the maxima"):
            load_onnx(make_model(nodes, (1, 1, 4)))

    def test_training_mode(self):
        batch_norm = node("BatchNormalization", ["x", "c", "c", "c", "c"], ["y", "m", "v"], training_mode=1)
        with pytest.raises(UnsupportedOperatorError, match=r"training mode.*model\.eval"):
            load_onnx(make_model([batch_norm], (1, 3), {"c": abs(weights(0, 3))}))
        dropout = node("Dropout", ["x", "ratio", "mode"], ["y"])
        stored = {"ratio": np.float32(0.5), "mode": np.array(True)}
        with pytest.raises(UnsupportedOperatorError, match=r"training mode.*model\.eval"):
            load_onnx(make_model([dropout], (1, 3), stored))

    def test_foreign_operator(self):
        model = make_model([node("FusedGelu", ["x"], ["y"], domain="com.vendor", name="fused")], (1, 3))
        with pytest.raises(UnsupportedOperatorError, match=r"node 'fused': FusedGelu .*standard ONNX operators"):
            load_onnx(model)
        with pytest.raises(UnsupportedOperatorError, match="NoSuchOperator is not an operator"):
            load_onnx(make_model([node("NoSuchOperator", ["x"], ["y"])], (1, 3)))

    def test_symbolic_dimension_after_the_batch(self):
        with pytest.raises(NetworkFileError, match=r"'x' has the shape \['N', 'T', 3\]: .*fixed sizes"):
            load_onnx(make_model([node("Relu", ["x"], ["y"])], ("N", "T", 3)))

    def test_input_without_a_shape(self):
        with pytest.raises(NetworkFileError, match="'x' is no tensor with a shape"):
            load_onnx(make_model([node("Relu", ["x"], ["y"])], None))

    def test_sparse_initializer(self):
        model = linear()
        model.graph.sparse_initializer.append(SparseTensorProto())
        with pytest.raises(NetworkFileError, match="sparse initializers"):
            load_onnx(model)


class TestValues:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", ["w", "b"])
    def test_weights_that_are_not_finite(self, value, place):
        stored = {"w": weights(0, 4, 3), "b": weights(1, 3)}
        stored[place].flat[-1] = value
        nodes = [node("Gemm", ["x", "w", "b"], ["y"], name="layer")]
        with pytest.raises(NetworkValueError, match=r"node 'layer' \(Gemm\).*NaN or infinite"):
            load_onnx(make_model(nodes, (1, 4), stored))

    def test_division_by_zero(self):
        with pytest.raises(NetworkValueError, match="NaN or infinite"):
            load_onnx(make_model([node("Div", ["x", "c"], ["y"])], (1, 3), {"c": np.float32([1, 0, 1])}))

    def test_negative_variance(self):
        nodes = [node("BatchNormalization", ["x", "c", "c", "c", "v"], ["y"])]
        with pytest.raises(NetworkValueError, match="NaN or infinite"):
            load_onnx(make_model(nodes, (1, 3), {"c": weights(0, 3), "v": np.float32([1, -1, 1])}))

    def test_limit_that_is_nan(self):
        with pytest.raises(NetworkValueError, match="NaN"):
            load_onnx(make_model([node("Clip", ["x", "c"], ["y"])], (1, 3), {"c": np.float32(np.nan)}))

    def test_shapes_that_do_not_fit(self):
        model = linear()
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
        with pytest.raises(NetworkFileError, match=r"node 'product' \(MatMul\).*\(1, 5\) and \(4, 3\)"):
            load_onnx(model)


class TestDamage:
    def test_cycle(self):
        nodes = [node("Add", ["x", "b"], ["a"], name="first"), node("Relu", ["a"], ["b"]), node("Neg", ["b"], ["y"])]
        with pytest.raises(NetworkFileError, match="cycle through"):
            load_onnx(make_model(nodes, (1, 3)))

    def test_missing_initializer(self):
        model = linear()
        del model.graph.initializer[:]
        with pytest.raises(NetworkFileError, match=r"node 'product'.*input 'w' is neither computed .* nor stored"):
            load_onnx(model)

    def test_missing_output(self):
        with pytest.raises(NetworkFileError, match="no node computes the output 'z'"):
            load_onnx(linear(outputs=("z",)))

    def test_missing_inputs(self):
        with pytest.raises(NetworkFileError, match="no inputs"):
            load_onnx(_no_inputs())

    def test_two_writers(self):
        nodes = [node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]
        with pytest.raises(NetworkFileError, match="'y' is computed by two nodes"):
            load_onnx(make_model(nodes, (1, 3)))

    def test_tensor_with_the_wrong_size(self):
        model = linear()
        model.graph.initializer[0].dims[0] = 2**40
        with pytest.raises(NetworkFileError, match="tensor 'w' is corrupt"):
            load_onnx(model)

    def test_attribute_of_the_wrong_type(self):
        model = make_model([node("Flatten", ["x"], ["y"], axis="one")], (1, 3))
        with pytest.raises(NetworkFileError, match=r"\(Flatten\) is not valid: .*axis"):
            load_onnx(model)

    @pytest.mark.parametrize(
        ("nodes", "stored"),
        [
            ([node("Expand", ["x", "s"], ["y"], name="last")], {"s": ints([[2, 3]])}),
            ([node("MeanVarianceNormalization", ["c"], ["m"], name="last"), node("Add", ["x", "m"], ["y"])],
             {"c": weights(0, 3, 3)}),
            ([node("Slice", ["x", "zero", "zero", "zero"], ["e"]), node("Reshape", ["e", "s"], ["y"], name="last")],
             {"zero": ints(0), "s": ints(0, -1)}),
        ],
    )  # fmt: skip
    def test_what_the_reference_implementation_lacks_is_not_called_invalid(self, nodes, stored):
        operator = next(own.op_type for own in nodes if own.name == "last")
        with pytest.raises(
            NetworkFileError, match=rf"'last' \({operator}\): ONNX's .* cannot evaluate it: \S"
        ) as error:
            load_onnx(make_model(nodes, (1, 3), stored))
        assert "not valid" not in str(error.value)

    def test_text_that_is_not_utf8(self):
        content = linear().SerializeToString().replace(b"\x01x\x12", b"\x01\xff\x12", 1)
        with pytest.raises(NetworkFileError):
            load_onnx(content)


def _no_inputs():
    graph = helper.make_graph(
        [node("Constant", [], ["y"], value_float=1.0)], "g", [], [helper.make_tensor_value_info("y", 1, None)]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


HUGE = ints(10**6, 10**6)


def _doubling():
    nodes = [node("Concat", [f"t{i}", f"t{i}"], [f"t{i + 1}"], axis=1) for i in range(60)]
    nodes[0].input[:] = ["x", "x"]
    return make_model([*nodes, node("Relu", ["t60"], ["y"])], (1, 3))


def _nested_functions(count, calls):
    """Functions each of which calls the next one several times; the last may call the first."""
    functions = []
    for i in range(count):
        body = [node(f"f{(i + 1) % count}", ["a"], [f"b{j}"], domain="own") for j in range(calls)]
        if i == count - 1 and calls > 1:
            body = [node("Neg", ["a"], [f"b{j}"]) for j in range(calls)]
        functions.append(
            helper.make_function(
                "own", f"f{i}", ["a"], ["b0"], body, [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
            )
        )
    return make_model([node("f0", ["x"], ["y"], domain="own")], (1, 3), functions=functions)


HOSTILE = {
    "expand": lambda: make_model([node("Expand", ["x", "s"], ["y"])], (1, 1), {"s": HUGE}),
    "constant of shape": lambda: make_model(
        [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])], (1, 1), {"s": HUGE}
    ),
    "tile": lambda: make_model([node("Tile", ["x", "s"], ["y"])], (1, 1), {"s": HUGE}),
    "range": lambda: make_model(
        [node("Range", ["a", "b", "c"], ["r"]), node("Add", ["x", "r"], ["y"])],
        (1, 1),
        {"a": np.array(0), "b": np.array(10**12), "c": np.array(1)},
    ),
    "pad": lambda: make_model([node("Pad", ["x", "s"], ["y"])], (1, 1), {"s": ints(0, 10**12, 0, 0)}),
    "pad of a constant": lambda: make_model(
        [node("Pad", ["c", "s"], ["p"]), node("Add", ["x", "p"], ["y"])],
        (1, 1),
        {"s": ints(0, 10**12, 0, 0), "c": weights(0, 1, 1)},
    ),
    "resize": lambda: make_model([node("Resize", ["x", "", "", "s"], ["y"])], (1, 1), {"s": ints(1, 10**12)}),
    "resize of all": lambda: make_model([node("Resize", ["x", "", "s"], ["y"])], (1, 2), {"s": np.float32([1e5, 1e5])}),
    "upsample": lambda: make_model([node("Upsample", ["x"], ["y"], scales=[1.0, 1e12])], (1, 2), opset=7),
    "one hot": lambda: make_model(
        [node("OneHot", ["i", "d", "v"], ["o"]), node("Add", ["x", "o"], ["y"])],
        (1, 1),
        {"i": ints(*range(1000)), "d": np.array(10**9), "v": np.float32([0, 1])},
    ),
    "outer product": lambda: make_model([node("MatMul", ["x", "w"], ["y"])], (10**6, 1), {"w": weights(0, 1, 10**6)}),
    "outer product of constants": lambda: make_model(
        [node("MatMul", ["v", "w"], ["m"]), node("Add", ["x", "m"], ["y"])],
        (1, 1),
        {"v": weights(0, 10**5, 1), "w": weights(0, 1, 10**5)},
    ),
    "broadcast": lambda: make_model([node("Add", ["x", "c"], ["y"])], (1, 10**5), {"c": weights(0, 10**5, 1)}),
    "broadcast of two": lambda: make_model(
        [node("Transpose", ["x"], ["t"]), node("Max", ["x", "t"], ["y"])], (1, 10**5)
    ),
    "input": lambda: make_model([node("Relu", ["x"], ["y"])], (1, 2**40)),
    "input of many dimensions": lambda: make_model([node("Relu", ["x"], ["y"])], (1,) * 100),
    "convolution": lambda: make_model(
        [node("Conv", ["x", "k"], ["y"], pads=[10**9, 10**9])], (1, 1, 3), {"k": weights(0, 1, 1, 2)}
    ),
    "large convolution": lambda: make_model(
        [node("Conv", ["x", "k"], ["y"], pads=[50] * 4)], (1, 64, 200, 200), {"k": weights(0, 64, 64, 3, 3)}
    ),
    "transposed convolution": lambda: make_model(
        [node("ConvTranspose", ["x", "k"], ["y"], strides=[2**40])], (1, 1, 3), {"k": weights(0, 1, 1, 2)}
    ),
    "pooling": lambda: make_model(
        [node("AveragePool", ["x"], ["y"], kernel_shape=[10**5, 10**5], pads=[10**5] * 4)], (1, 1, 3, 3)
    ),
    "kernel of a pooling": lambda: make_model(
        [node("MaxPool", ["x"], ["y"], kernel_shape=[2**62], pads=[2**61, 2**61])], (1, 1, 3)
    ),
    "gather": lambda: make_model(
        [node("Gather", ["x", "i"], ["y"])], (1000, 10**4), {"i": np.zeros(10**5, np.int64)}
    ),
    "doubling": _doubling,
    "recursive function": lambda: _nested_functions(3, 1),
    "function that calls itself": lambda: _nested_functions(1, 1),
    "functions that blow up": lambda: _nested_functions(30, 4),
    "dense chain": lambda: make_model(
        [node("Expand", ["x", "s"], ["e"]), node("MatMul", ["e", "w"], ["y"])],
        (1, 1000, 1),
        {"s": ints(1, 1000, 1000), "w": weights(0, 1000, 1000)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graph_is_refused_without_much_memory(name):
    model = HOSTILE[name]()
    tracemalloc.start()
    with pytest.raises(NetworkFileError):
        load_onnx(model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400e6


class TestExternalData:
    @pytest.fixture
    def stored(self, tmp_path):
        """A model file in its folder, whose weight lies in `weights.bin` beside it, and the plain model."""
        folder = tmp_path / "models"
        folder.mkdir()
        plain, model = linear(), linear()
        convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
        tensor = model.graph.initializer[0]
        (folder / "weights.bin").write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        tensor.external_data.add(key="location", value="weights.bin")
        return folder / "model.onnx", model, plain

    @staticmethod
    def save(path, model, **entries):
        tensor = model.graph.initializer[0]
        values = {entry.key: entry.value for entry in tensor.external_data} | entries
        del tensor.external_data[:]
        for key, value in values.items():
            tensor.external_data.add(key=key, value=value)
        path.write_bytes(model.SerializeToString())
        return path

    def test_beside_the_model(self, stored):
        path, model, plain = stored
        network = load_onnx(self.save(path, model))
        assert np.array_equal(network.value(np.eye(4)), load_onnx(plain).value(np.eye(4)))

    def test_with_offset_and_length(self, stored):
        path, model, plain = stored
        content = (path.parent / "weights.bin").read_bytes()
        (path.parent / "weights.bin").write_bytes(b"12345678" + content + b"more")
        network = load_onnx(self.save(path, model, offset="8", length=str(len(content))))
        assert np.array_equal(network.value(np.eye(4)), load_onnx(plain).value(np.eye(4)))

    @pytest.mark.parametrize("location", ["../secret.bin", "sub/../../secret.bin", "{root}/secret.bin", "link.bin", ""])
    def test_outside_the_folder(self, stored, tmp_path, location):
        path, model, _ = stored
        secret = tmp_path / "secret.bin"
        secret.write_bytes((path.parent / "weights.bin").read_bytes())
        os.symlink(secret, path.parent / "link.bin")
        self.save(path, model, location=location.format(root=tmp_path))
        with pytest.raises(NetworkFileError, match="'w' lies outside the model's folder"):
            load_onnx(path)

    def test_missing(self, stored):
        path, model, _ = stored
        with pytest.raises(NetworkFileError, match=r"'w' lies in .*nothing\.bin, and there is no such file"):
            load_onnx(self.save(path, model, location="nothing.bin"))

    @pytest.mark.parametrize(
        "entries", [{"offset": "8"}, {"length": "1000000000000"}, {"offset": "-4"}, {"length": "-1"}]
    )
    def test_too_short(self, stored, entries):
        path, model, _ = stored
        with pytest.raises(NetworkFileError, match=r"weights\.bin is too short|unreadably|corrupt"):
            load_onnx(self.save(path, model, **entries))

    def test_offset_is_no_number(self, stored):
        path, model, _ = stored
        with pytest.raises(NetworkFileError, match="unreadably"):
            load_onnx(self.save(path, model, offset="eight"))

    def test_not_from_a_file(self, stored):
        _, model, _ = stored
        with pytest.raises(NetworkFileError, match="'w' lies in another file: load the network by its path"):
            load_onnx(model.SerializeToString())


def test_given_model_is_left_as_it_is():
    model = linear()
    before = ModelProto()
    before.CopyFrom(model)
    load_onnx(model)
    assert model == before
    assert initializer("w", weights(0, 4, 3)) == model.graph.initializer[0]


def test_names_inside_functions_that_are_not_text():
    """protobuf gives a damaged name as bytes, and takes none back."""
    function = helper.make_function(
        "own",
        "f",
        ["a"],
        ["b"],
        [helper.make_node("LeakyRelu", ["a"], ["b"])],
        [helper.make_opsetid("", 17)],
        ["alpha"],
    )
    call = helper.make_node("f", ["x"], ["y"], domain="own", alpha=0.25)
    graph = helper.make_graph(
        [call], "g", [helper.make_tensor_value_info("x", 1, (1, 2))], [helper.make_tensor_value_info("y", 1, (1, 2))]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    function.node[0].attribute.add(name="alpha", ref_attr_name="alpha", type=1)
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    content = model.SerializeToString()
    assert load_onnx(content).value([[-1.0, 1.0]]) == pytest.approx(np.array([[-0.25, 1.0]]))
    refused = []
    for place in re.finditer(b"alpha", content):
        damaged = content[: place.start()] + b"alp\xb2a" + content[place.end() :]
        try:
            load_onnx(damaged)
        except RelugradError as error:
            refused.append(str(error))
    assert "it has names that are not text" in " ".join(refused)
