"""Published families of models at sizes and seeds that nothing was tuned on: how far the search is behind the best.

    OMP_NUM_THREADS=1 python benchmarks/published_families.py --seconds 5
    OMP_NUM_THREADS=1 python benchmarks/published_families.py --published
    OMP_NUM_THREADS=1 python benchmarks/published_families.py --only production facilities

Models are built by the files in ``../shared/models`` beside the repository, which have to be there. Best known values
are the best of all runs that were made with `relugrad` (several seeds), `relugrad.exact`, HiGHS on OMLT's rows, and for
the commitment of programs that know this model alone; where this benchmark finds a better one, the gap is negative. The
last two models are of other publications; their optima are enumerated. `ablation.py` leaves parts of the search out.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyomo.environ as pyo
from machine import describe_machine

import pyomo_relugrad  # noqa: F401 - registers the solvers

MODELS = Path(__file__).parents[2] / "shared" / "models"
FOLDERS = [MODELS / "suite", MODELS / "production", MODELS / "facility_location"]


class Case(NamedTuple):
    """A model: its module and builder, its arguments, and the best value known."""

    name: str
    module: str
    builder: str
    arguments: dict[str, Any]
    best: float

    def build(self) -> Any:
        """The Pyomo model."""
        return getattr(importlib.import_module(self.module), self.builder)(**self.arguments)


CASES = (
    Case("auto-3", "design", "auto_manufacturer", {"seed": 3}, 593.761602),
    Case("auto-7", "design", "auto_manufacturer", {"seed": 7}, 592.450015),
    Case("trees4-5", "placing", "tree_planting", {"side": 4, "seed": 5}, 9.220129),
    Case("trees7-3", "placing", "tree_planting", {"side": 7, "seed": 3}, 25.170976),
    Case("city4-1", "placing", "city_planning", {"apartments": 4, "seed": 1}, 104.442),
    Case("city3-11", "placing", "city_planning", {"apartments": 3, "seed": 11}, 78.504089),
    Case("city12-15", "placing", "city_planning", {"apartments": 12, "seed": 15}, 217.837),
    Case("city5-8", "placing", "city_planning", {"apartments": 5, "seed": 8}, 96.896983),
    Case("city8-3", "placing", "city_planning", {"apartments": 8, "seed": 3}, 179.237),
    Case("students60-3", "budgets", "student_scholarships", {"students": 60, "seed": 3}, 42.031363),
    Case("students400-7", "budgets", "student_scholarships", {"students": 400, "seed": 7}, 259.094786),
    Case("workload20-3", "placing", "workload_dispatching", {"rows": 4, "width": 5, "seed": 3}, 0.45661969),
    Case("workload30-7", "placing", "workload_dispatching", {"rows": 5, "width": 6, "seed": 7}, 0.41539435),
    Case("commitment6-0", "horizons", "unit_commitment", {"seed": 0}, -119.96),
    Case("commitment6-1", "horizons", "unit_commitment", {"seed": 1}, -134.9),
    Case("commitment6-4", "horizons", "unit_commitment", {"seed": 4}, -139.97),
    Case("commitment5-0", "horizons", "unit_commitment", {"units": 5, "hours": 18, "seed": 0}, -35.104324),
    Case("commitment5-3", "horizons", "unit_commitment", {"units": 5, "hours": 18, "seed": 3}, -105.933),
    Case("water15-3", "budgets", "water_potability", {"samples": 15, "seed": 3}, 12.0),
    Case("water35-7", "budgets", "water_potability", {"samples": 35, "seed": 7}, 22.0),
    Case("water60-14", "budgets", "water_potability", {"samples": 60, "seed": 14}, 27.0),
    Case("water100-15", "budgets", "water_potability", {"samples": 100, "seed": 15}, 46.0),
    Case("control36-3", "horizons", "predictive_control", {"hours": 36, "seed": 3}, 49.058708),
    Case("control72-5", "horizons", "predictive_control", {"hours": 72, "seed": 5}, 85.770127),
    Case("onoff36-2", "horizons", "predictive_control", {"hours": 36, "on_off": True, "seed": 2}, 47.923157),
    Case("onoff48-1", "horizons", "predictive_control", {"hours": 48, "on_off": True, "seed": 1}, 60.046683),
    Case("counterfactual100-1", "design", "counterfactual", {"free": 100, "seed": 1}, 14.0),
    Case("counterfactual150-3", "design", "counterfactual", {"free": 150, "seed": 3}, 13.0),
    Case("counterfactual200-5", "design", "counterfactual", {"free": 200, "seed": 5}, 11.0),
    Case("wine4-3", "design", "wine_blending", {"vineyards": 30, "wines": 4, "seed": 3}, 5.97765),
    Case("wine7-7", "design", "wine_blending", {"vineyards": 40, "wines": 7, "seed": 7}, 6.08979),
    Case("tail15-5", "budgets", "tail_value", {"scenarios": 15, "seed": 5}, 1.193604),
    Case("tail30-3", "budgets", "tail_value", {"scenarios": 30, "seed": 3}, 6.522994),
    Case("chance15-5", "budgets", "chance_constrained_value", {"scenarios": 15, "seed": 5}, 1.390213),
    Case("chance25-14", "budgets", "chance_constrained_value", {"scenarios": 25, "seed": 14}, 0.087833),
    Case("chance40-15", "budgets", "chance_constrained_value", {"scenarios": 40, "seed": 15}, 1.648347),
    Case("chance25-7", "budgets", "chance_constrained_value", {"scenarios": 25, "seed": 7}, 2.6199),
    Case("chance30-3", "budgets", "chance_constrained_value", {"scenarios": 30, "seed": 3}, 7.03672),
    Case("capacities30-3", "design", "capacity_expansion", {"plants": 30, "components": 6, "seed": 3}, -1036.441999),
    Case("capacities60-5", "design", "capacity_expansion", {"plants": 60, "components": 10, "seed": 5}, -269.86231),
    Case("diet-1", "design", "diet_classes", {"seed": 1}, 4.3315),
    Case("diet-3", "design", "diet_classes", {"seed": 3}, 6.162475),
    Case("batches6", "horizons", "state_task_network", {"events": 6, "hours": 12.0}, 208.197039),
    Case("batches7", "horizons", "state_task_network", {"events": 7, "hours": 14.0}, 257.868156),
    Case("batches8-20", "horizons", "state_task_network", {"events": 8, "hours": 20.0}, 414.752),
    Case("batches9", "horizons", "state_task_network", {"events": 9, "hours": 18.0}, 364.336986),
    Case("batches10", "horizons", "state_task_network", {"events": 10, "hours": 20.0}, 410.686),
    Case("batches12-18", "horizons", "state_task_network", {"events": 12, "hours": 18.0}, 364.336986),
    Case("production", "production", "build", {"networks_folder": FOLDERS[1] / "networks"}, 1.286386),
    Case(
        "facilities",
        "facility_location",
        "build",
        {"network_file": FOLDERS[2] / "network_10.onnx", "instance_file": FOLDERS[2] / "instance_10_100.npz"},
        7047.887185,
    ),
)


#: The models at the sizes at which they were published: the searches were chosen on these.
PUBLISHED = (
    Case("auto", "design", "auto_manufacturer", {}, 589.84),
    Case("trees", "placing", "tree_planting", {}, 14.0626),
    Case("city", "placing", "city_planning", {}, 118.464),
    Case("students25", "budgets", "student_scholarships", {}, 14.0426),
    Case("students250", "budgets", "student_scholarships", {"students": 250}, 167.609),
    Case("workload12", "placing", "workload_dispatching", {"rows": 3, "width": 4}, 0.604918),
    Case("workload48", "placing", "workload_dispatching", {}, 0.415394),
    Case("commitment", "horizons", "unit_commitment", {}, -119.96),
    Case("water10", "budgets", "water_potability", {"samples": 10}, 8.0),
    Case("water50", "budgets", "water_potability", {}, 21.0),
    Case("control24", "horizons", "predictive_control", {}, 35.4577),
    Case("control48", "horizons", "predictive_control", {"hours": 48}, 60.7818),
    Case("onoff24", "horizons", "predictive_control", {"on_off": True}, 35.4744),
    Case("counterfactual", "design", "counterfactual", {}, 10.0),
    Case("wine", "design", "wine_blending", {}, 6.22374),
    Case("tail", "budgets", "tail_value", {}, -0.246337),
    Case("chance", "budgets", "chance_constrained_value", {}, 0.631829),
    Case("capacities", "design", "capacity_expansion", {}, 32.3055),
    Case("diet", "design", "diet_classes", {}, 5.764),
    Case("batches", "horizons", "state_task_network", {}, 307.964),
)


class Run(NamedTuple):
    """A run: its value, how far it is behind the best known one, seconds to the first and last point, why it ended."""

    value: float
    behind: float
    first: float
    last: float
    end: str


def run(case: Case, seconds: float, seed: int) -> Run:
    """Solve a model."""
    model = case.build()
    objective = next(model.component_data_objects(pyo.Objective, active=True))
    results = pyo.SolverFactory("relugrad").solve(model, load_solutions=False, time_limit=seconds, seed=seed)
    history = results.extra_info["history"]
    if not history:
        return Run(*[float("nan")] * 4, str(results.solver.message))
    value = history[-1][1]
    behind = (case.best - value if objective.sense == pyo.maximize else value - case.best) / max(abs(case.best), 1e-9)
    return Run(value, behind, history[0][0], history[-1][0], str(results.solver.message).split(";")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each run (default 5)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[""], help="run only models whose name contains one of these")
    parser.add_argument("--published", action="store_true", help="the published sizes in place of the others")
    arguments = parser.parse_args()
    if not MODELS.is_dir():
        parser.error(f"there are no models in {MODELS}")
    sys.path[:0] = map(str, FOLDERS)
    logging.getLogger("pyomo").setLevel(logging.ERROR)
    print(describe_machine())
    print(f"{'model':22}{'seed':>5}{'value':>12}{'behind':>10}{'first s':>9}{'last s':>8}  end")
    gaps = []
    for case in PUBLISHED if arguments.published else CASES:
        for seed in arguments.seeds if any(part in case.name for part in arguments.only) else ():
            found = run(case, arguments.seconds, seed)
            print(
                f"{case.name:22}{seed:5}{found.value:12.6g}{found.behind:10.3%}{found.first:9.2f}{found.last:8.2f}"
                f"  {found.end}",
                flush=True,
            )
            gaps.append(found.behind)
    near, close = (sum(one <= limit for one in gaps) for limit in (1e-2, 1e-3))
    print(f"{len(gaps)} runs of the whole search: {near} within 1 % of the best known value, {close} within 0.1 %")


if __name__ == "__main__":
    main()
