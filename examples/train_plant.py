"""Train the network of the extrapolation example: a plant's yield, from what its operators have recorded.

Writes ``plant.onnx`` and the records, ``plant.csv``, next to this file. Both are part of the repository, so there is no
need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

FILE = Path(__file__).with_name("plant.onnx")
RECORDS = Path(__file__).with_name("plant.csv")
SETTINGS = ["temperature", "pressure", "flow", "recycle"]


def true_yield(settings: np.ndarray) -> np.ndarray:
    """Yield in % (n,) at settings (n, 4): kelvin, bar, tonnes an hour, share.

    Temperature and pressure help each other, up to where coke forms; no operator has ever gone there.
    """
    temperature, pressure, flow, recycle = settings.T
    hot, dense = (temperature - 450) / 50, (pressure - 20) / 10
    useful = 62 + 9 * hot + 6 * dense - 3 * hot * dense + 8 * recycle - 0.6 * (flow - 9) ** 2
    coke = 14 * np.logaddexp(0, 4 * (hot + dense - 1.6))
    flooding = 12 * np.logaddexp(0, 5 * (recycle + flow / 12 - 1.5))
    return useful - coke - flooding


def draw_records(random: np.random.Generator, count: int) -> np.ndarray:
    """Settings (count, 4) as operators choose them: hot at low pressure in summer, the reverse in winter."""
    summer = random.random(count) < 0.5
    drift = random.uniform(0, 1, count)
    temperature = np.where(summer, 480 + 25 * drift, 410 + 30 * drift) + random.normal(0, 2, count)
    pressure = np.where(summer, 12 + 5 * drift, 26 + 6 * drift) + random.normal(0, 0.5, count)
    flow = np.where(summer, 10.5 - 2.0 * drift, 7.5 + 2.0 * drift) + random.normal(0, 0.3, count)
    recycle = np.clip(0.2 + 0.35 * drift + random.normal(0, 0.05, count), 0, 1)
    return np.column_stack([temperature, pressure, flow, recycle])


def main() -> None:
    """Train on 1500 hours of operation."""
    random = np.random.default_rng(0)
    settings = draw_records(random, 1500)
    measured = true_yield(settings) + random.normal(0, 0.4, len(settings))
    table = np.column_stack([settings, measured])
    np.savetxt(RECORDS, table, "%.5g", ",", header=",".join([*SETTINGS, "yield"]), comments="")
    train(settings, measured[:, None], (24, 24), FILE, ("settings", "yield"))


if __name__ == "__main__":
    main()
