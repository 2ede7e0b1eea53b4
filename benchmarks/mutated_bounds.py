"""Whether tests fail where the code of bounds is wrong: one operator at a time is changed in a copy of the package.

Changed are sums and differences, signs, comparisons, ``maximum`` and ``minimum``, ``&`` and ``|`` in the functions that
bounds are made of. For each change the tests of that part run until the first one fails. Survivors are printed: what
only makes a bound weaker, or slower to find, may survive.

    python benchmarks/mutated_bounds.py --only relus/dual
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import highspy  # noqa: F401 - what tests import is imported once
import onnxruntime  # noqa: F401
import pyomo.environ  # noqa: F401
import pytest
import scipy.optimize  # noqa: F401

ROOT = Path(__file__).parents[1]
#: Seconds of work after which tests count as failed.
MAX_SECONDS = 60.0

#: Modules, the functions that are changed in them, and the tests that should fail.
NETWORK_TESTS = (
    "test_bounds.py",
    "test_activations.py",
    "test_curves.py",
    "test_crown.py",
    "test_bound_sampling.py",
    "test_dual_bound.py",
)
PROOF_TESTS = ("test_relus.py",)
VERDICT_TESTS = ("test_queries.py", "test_verification.py", "test_counterexample.py")
PROPERTY_TESTS = ("test_vnnlib.py", "test_vnnlib_networks.py", "test_queries.py")
EXPRESSION_TESTS = ("test_expression_bounds.py", "test_expression.py")
ROW_TESTS = ("test_presolve.py", "test_random_models.py")
MILP_TESTS = ("test_milp.py",)
TARGETS: dict[str, tuple[set[str], tuple[str, ...]]] = {
    "network/bounds/intervals.py": (
        {"affine_range", "interval_bounds", "interval_range", "rounding_factor", "sign_parts", "intersect"},
        NETWORK_TESTS,
    ),
    "network/bounds/relaxation.py": (
        {"_add_layer", "_preactivation_bounds", "_output_range", "_rounding", "substitute", "_both_signs"}
        | {"_by_products"},
        NETWORK_TESTS,
    ),
    "network/bounds/second_layer.py": ({"suits", "second_layer_bounds", "_scaled"}, NETWORK_TESTS),
    "network/bounds/substitution.py": ({"descend", "through", "_through_lines", "sums"}, NETWORK_TESTS),
    "network/activations.py": ({"lines", "states", "bends", "range", "_chords_to_infinity"}, NETWORK_TESTS),
    "network/bounds/boxes.py": ({"minima", "minimizers", "_rounded_corners"}, NETWORK_TESTS),
    "network/bounds/lower_slopes.py": ({"_bound", "_merge", "optimize_lower_slopes"}, NETWORK_TESTS),
    "network/bounds/crown.py": ({"crown_bounds"}, NETWORK_TESTS),
    "network/curve_lines.py": (
        {"enclosing_lines", "_below", "_tangent_places", "_tangents_through", "_smallest", "_bisected"},
        NETWORK_TESTS,
    ),
    "proof/relus/dual.py": (
        {"__init__", "__call__", "_lines", "_substitute", "_row_sides", "gamma_range", "minima", "is_undecided"}
        | {"_rows_and_output_bounds"},
        PROOF_TESTS,
    ),
    "proof/relus/ascent.py": ({"moved", "_same_side"}, PROOF_TESTS),
    "solve/verdicts/verification.py": ({"verify", "screen", "_decide", "cutoff", "conclusion"}, VERDICT_TESTS),
    "solve/verdicts/question.py": (
        {"free_places", "over_free_inputs", "scales", "scaled", "excess", "unscaled"},
        VERDICT_TESTS,
    ),
    "readers/vnnlib/property.py": ({"violation", "_case", "_links", "_ordered_inputs"}, PROPERTY_TESTS),
    "readers/vnnlib/formula.py": (
        {"plus", "times", "_less", "condition", "_linear", "_sum", "_product"},
        PROPERTY_TESTS,
    ),
    "readers/vnnlib/version_1.py": ({"_declare", "_size", "_variable", "_parsed"}, PROPERTY_TESTS),
    "readers/vnnlib/version_2.py": ({"_network", "_check", "_tensor", "_variable", "_numbers"}, PROPERTY_TESTS),
    "programs/big_m.py": (
        {"build_big_m", "model", "add_network", "_add_hidden_columns", "_add_switches", "_add_affine", "start"},
        MILP_TESTS,
    ),
    "programs/obbt.py": (
        {
            "tighten_by_programs",
            "minimum",
            "_certified",
            "narrow",
            "_column_ranges",
            "bounds",
            "_open_neurons",
            "_outputs",
        },
        MILP_TESTS,
    ),
    "expression/envelope.py": (
        {"downward", "outward", "function_range", "function_lines", "_best_line"},
        EXPRESSION_TESTS,
    ),
    "expression/products.py": ({"product_range", "product_planes", "_within", "_farthest"}, EXPRESSION_TESTS),
    "expression/contraction.py": (
        {"terms_within", "rest", "factor_within", "argument_within", "_inverse", "_power_argument", "root"}
        | {"_by_halves", "_meeting", "_quotient", "_hull", "_rounded"},
        EXPRESSION_TESTS,
    ),
    "problem/presolve/row_tightening.py": (
        {"__call__", "rounds", "_round", "_others", "cut_boxes", "close_boxes", "met_in_the_middle", "loosened"}
        | {"safety_margin"},
        ROW_TESTS,
    ),
}
SWAPPED: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Gt: ast.Lt, ast.Lt: ast.Gt,
    ast.GtE: ast.LtE, ast.LtE: ast.GtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
RENAMED = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max"}


def changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Attributes of a syntax node, with the value that makes it wrong."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SWAPPED:
        yield "op", SWAPPED[type(node.op)]()
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPPED:
        yield "ops", [SWAPPED[type(node.ops[0])]()]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.Attribute) and node.attr in RENAMED:
        yield "attr", RENAMED[node.attr]
    elif isinstance(node, ast.keyword) and node.arg in ("min", "max"):
        yield "arg", RENAMED[node.arg]


def mutants(source: str, functions: set[str]) -> Iterator[tuple[int, str, str]]:
    """Line, what is changed there and whole text of each changed module."""
    tree, lines = ast.parse(source), source.splitlines()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.name not in functions:
            continue
        for node in (node for statement in function.body for node in ast.walk(statement)):
            for name, value in changes(node):
                original = getattr(node, name)
                setattr(node, name, value)
                line = getattr(node, "lineno", getattr(getattr(node, "value", node), "lineno", function.lineno))
                yield line, f"{lines[line - 1].strip()}  ->  {ast.unparse(node)}", ast.unparse(tree)
                setattr(node, name, original)


def copied(folder: Path) -> None:
    """Copy package and tests."""
    for name in ("pyomo_relugrad", "tests", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def passes(folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether the given tests pass in a folder, run by a fork of this process, which has imported what they need."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.setitimer(signal.ITIMER_VIRTUAL, MAX_SECONDS)  # a change may make a loop endless
        words = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *(f"tests/{name}" for name in tests)]
        code = 1
        try:
            code = int(pytest.main(words))
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="change only modules whose path contains this")
    parser.add_argument("--every", type=int, default=1, help="of the changes of a module, one in so many (default all)")
    arguments = parser.parse_args()
    survived = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copied(Path(folder))
        for name, (functions, tests) in TARGETS.items():
            if arguments.only not in name:
                continue
            module = Path(folder) / "pyomo_relugrad" / name
            source = module.read_text(encoding="utf-8")
            for line, text, mutant in list(mutants(source, functions))[:: arguments.every]:
                module.write_text(mutant, encoding="utf-8")
                shutil.rmtree(module.parent / "__pycache__", ignore_errors=True)
                total += 1
                if passes(Path(folder), tests):
                    survived += 1
                    print(f"survived: {name}:{line}: {text}", flush=True)
            module.write_text(source, encoding="utf-8")
    print(f"{survived} of {total} changes survived")


if __name__ == "__main__":
    main()
