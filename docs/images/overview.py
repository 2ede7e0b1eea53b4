"""Draw overview.png, the picture of the README: ``python docs/images/overview.py``.

Left, the plant's network of the examples over two of its four inputs, its linear regions, and the incumbents of one
walk across them. Right, the value and the bound of the largest score that the digits' network gives to a 3.
"""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from pyomo_relugrad import load_onnx, maximize
from pyomo_relugrad.plotting import plot_progress, plot_slice
from pyomo_relugrad.run.result import Progress
from pyomo_relugrad.solve import Optimum, array_problem, solve_exactly

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"


def draw_walk(ax: plt.Axes) -> None:
    """A walk over the plant's yield by feed temperature and pressure."""
    network = load_onnx(EXAMPLES / "plant.onnx")
    lower, upper = np.array([405, 11, 7.7, 0.1]), np.array([507, 33, 7.7, 0.1])  # flow and recycle stay
    path: list[np.ndarray] = []

    def keep(progress: Progress) -> None:
        if progress.is_new and progress.incumbent is not None:
            path.append(progress.incumbent.values[:4])

    start = np.array([420, 30, 7.7, 0.1])
    maximize(network, lower=lower, upper=upper, method="lp-walk", start=start, iteration_limit=30, callback=keep)
    plot_slice(network, path[-1], (0, 1), lower=lower, upper=upper, path=np.array(path), ax=ax)
    ax.set(xlabel="temperature [K]", ylabel="pressure [bar]")
    ax.set_title("Search: from linear region to linear region", loc="left", fontsize="medium")


def draw_proof(ax: plt.Axes) -> None:
    """The best value and the bound of an exact solve over time."""
    network = load_onnx(EXAMPLES / "digits.onnx")
    problem = array_problem(network, np.eye(10)[3], 0.0, 1.0)
    result = solve_exactly(problem, time_limit=60)
    assert result.incumbent is not None
    x, y = np.split(result.incumbent.values, [64])
    plot_progress(Optimum(x, y, problem.reported(result.incumbent.objective), result, True, network), ax=ax)
    ax.set(ylim=(10, 28), ylabel="score")
    ax.set_title("Proof: the bound meets the best value", loc="left", fontsize="medium")


def main() -> None:
    """Draw both and keep them."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(1, 1.1))
    draw_walk(left)
    draw_proof(right)
    with BytesIO() as drawn:
        figure.savefig(drawn, dpi=100)
        Image.open(drawn).convert("RGB").quantize(96).save(HERE / "overview.png", optimize=True)


if __name__ == "__main__":
    main()
