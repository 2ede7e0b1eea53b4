"""Local functions of a model, and which operator sets it says that it uses, against onnxruntime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
SHAPE = (1, 4)


def referring(operator, *names, inputs=("a",), outputs=("b",), domain=""):
    """A node whose attributes are those of the function around it."""
    result = node(operator, list(inputs), list(outputs), domain=domain)
    for name in names:
        result.attribute.add(name=name, ref_attr_name=name, type=1)
    return result


def function(name, nodes, opset=20, *, defaults=None, attributes=(), calls=(), overload="", inputs=("a",)):
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in calls)]
    default = [helper.make_attribute(key, value) for key, value in (defaults or {}).items()]
    return helper.make_function(
        "own", name, list(inputs), ["b"], nodes, imports, list(attributes), default, overload=overload
    )


def calling(functions, nodes, stored=None, opset=20):
    return make_model(nodes, SHAPE, stored, functions=functions, opset=opset, ir=10)


def call(name, source="x", target="y", overload="", **attributes):
    result = node(name, [source], [target], domain="own", **attributes)
    result.overload = overload
    return result


class TestAttributes:
    @pytest.mark.parametrize("given", [{}, {"alpha": 0.3}, {"alpha": 0.7}])
    @pytest.mark.parametrize(
        ("operator", "defaults"),
        [("LeakyRelu", {"alpha": 0.3}), ("HardSigmoid", {"alpha": 0.1, "beta": 0.25}), ("LeakyRelu", {"alpha": -2.0})],
    )
    def test_default_values(self, operator, defaults, given):
        assert_agrees(
            calling([function("f", [referring(operator, *defaults)], defaults=defaults)], [call("f", **given)])
        )

    def test_one_function_called_in_different_ways(self):
        leaky = function("f", [referring("LeakyRelu", "alpha")], defaults={"alpha": 0.3})
        nodes = [call("f", "x", "s", alpha=0.5), node("Neg", ["s"], ["t"]), call("f", "t", "y")]
        assert_agrees(calling([leaky], nodes))

    @pytest.mark.parametrize("given", [{}, {"alpha": 0.6}])
    @pytest.mark.parametrize("defaults", [{}, {"alpha": 0.4}])
    def test_handed_on_to_an_inner_function(self, given, defaults):
        """What the outer function is not given, the inner one takes from its own default."""
        inner = function("inner", [referring("LeakyRelu", "alpha")], defaults={"alpha": 0.3})
        body = [referring("inner", "alpha", domain="own")]
        attributes = [] if defaults else ["alpha"]
        outer = function("outer", body, defaults=defaults, attributes=attributes, calls=["own"])
        assert_agrees(calling([inner, outer], [call("outer", **given)]))

    @pytest.mark.parametrize("place", ["graph", "function"])
    def test_inside_a_branch(self, place):
        leaky = function("f", [referring("LeakyRelu", "alpha")], defaults={"alpha": 0.3})
        read = "x" if place == "graph" else "a"
        branches = {
            f"{side}_branch": helper.make_graph(
                [call("f", read, side)], side, [], [helper.make_tensor_value_info(side, TensorProto.FLOAT, None)]
            )
            for side in ("then", "else")
        }
        stored = {"c": np.array(True)}
        if place == "graph":
            assert_agrees(calling([leaky], [node("If", ["c"], ["y"], **branches)], stored))
            return
        outer = function("g", [node("If", ["c"], ["b"], **branches)], calls=["own"], inputs=("a", "c"))
        assert_agrees(calling([leaky, outer], [node("g", ["x", "c"], ["y"], domain="own")], stored))

    def test_overloads(self):
        functions = [
            function("f", [referring("LeakyRelu", "alpha")], defaults={"alpha": 0.3}, overload="leaky"),
            function("f", [node("Neg", ["a"], ["b"])], overload="negative"),
        ]
        nodes = [call("f", "x", "s", overload="negative"), call("f", "s", "y", overload="leaky")]
        assert_agrees(calling(functions, nodes))


class TestOperatorSets:
    def test_function_of_another_set_in_which_its_operators_mean_the_same(self):
        assert_agrees(calling([function("f", [node("LeakyRelu", ["a"], ["b"], alpha=0.5)], opset=18)], [call("f")]))

    def test_function_of_an_older_set_is_converted(self):
        body = [node("Unsqueeze", ["a"], ["s"], axes=[0]), node("Relu", ["s"], ["b"])]
        model = calling([function("f", body, opset=11)], [call("f")])
        modern = [node("Unsqueeze", ["x", "c"], ["s"]), node("Relu", ["s"], ["y"])]
        assert_agrees(make_model(modern, SHAPE, {"c": np.array([0])}), load_onnx(model))

    def test_function_that_cannot_be_converted(self):
        body = [node("Clip", ["a"], ["b"], max=1.0)]
        model = calling([function("f", body, opset=6)], [call("f")])
        model.functions[0].opset_import[0].version = 10**6
        with pytest.raises(
            NetworkFileError, match=r"function 'f'.* uses the ONNX operator set 1000000.*one operator set"
        ):
            load_onnx(model)

    @pytest.mark.parametrize(
        ("sets", "domain"),
        [
            ([("ai.onnx", 17)], ""),
            ([("ai.onnx", 17)], "ai.onnx"),
            ([("", 17)], "ai.onnx"),
            ([("ai.onnx.ml", 3)], ""),
            ([("ai.onnx.ml", 3)], "ai.onnx"),
        ],
    )
    def test_names_of_the_set(self, sets, domain):
        nodes = [node("MatMul", ["x", "w"], ["h"], domain=domain), node("LeakyRelu", ["h"], ["y"], domain=domain)]
        model = make_model(nodes, SHAPE, {"w": weights(0, 4, 3)})
        del model.opset_import[:]
        model.opset_import.extend(helper.make_opsetid(*entry) for entry in sets)
        before = model.SerializeToString()
        assert_agrees(model)
        assert model.SerializeToString() == before

    def test_names_of_the_set_inside_a_branch_and_a_function(self):
        """onnxruntime takes the long name in neither place."""

        def model(domain):
            leaky = function("f", [node("LeakyRelu", ["a"], ["b"], alpha=0.5, domain=domain)])
            output = helper.make_tensor_value_info("n", TensorProto.FLOAT, None)
            branch = helper.make_graph([node("Neg", ["h"], ["n"], domain=domain)], "branch", [], [output])
            nodes = [call("f", "x", "h"), node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
            return calling([leaky], nodes, {"c": np.array(True)})

        assert_agrees(model(""), load_onnx(model("ai.onnx")))

    def test_a_scaler_and_nothing_of_the_own_set(self):
        scaler = node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0] * 4, scale=[0.5] * 4)
        model = make_model([scaler], SHAPE)
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
        assert_agrees(model)
