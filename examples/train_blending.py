"""Train the two networks of the blending example: a petrol's properties from its recipe, its emissions from these.

Writes ``blend_properties.onnx`` and ``engine_emissions.onnx`` next to this file. The files are part of the repository,
so there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

PROPERTIES = Path(__file__).with_name("blend_properties.onnx")
EMISSIONS = Path(__file__).with_name("engine_emissions.onnx")

STREAMS = ["reformate", "cracked naphtha", "alkylate", "isomerate", "straight-run naphtha", "ethanol"]
OCTANE = np.array([98.0, 92.5, 95.0, 87.0, 70.0, 112.0])
VAPOUR_PRESSURE = np.array([25.0, 50.0, 35.0, 90.0, 75.0, 125.0])
AROMATICS = np.array([65.0, 30.0, 0.5, 1.0, 8.0, 0.0])


def true_properties(fractions: np.ndarray) -> np.ndarray:
    """Octane number, vapour pressure in kPa and aromatics in % (n, 3) of recipes (n, 6).

    Octane numbers interact, ethanol is worth most in poor petrol, and vapour pressures blend by an index.
    """
    octane = fractions @ OCTANE + 12 * fractions[:, 5] * fractions[:, [3, 4]].sum(axis=1)
    octane -= 6 * fractions[:, 1] * fractions[:, 2] + 5 * fractions[:, 0] * fractions[:, 4]
    ethanol = fractions[:, 5]
    pressure = (fractions @ VAPOUR_PRESSURE**1.25) ** 0.8 + 9 * ethanol * np.exp(1 - ethanol / 0.08) / 0.08
    return np.column_stack([octane, pressure, fractions @ AROMATICS])


def true_emissions(properties: np.ndarray) -> np.ndarray:
    """Nitrogen oxides and hydrocarbons in mg/km (n, 2) of petrols with the properties (n, 3)."""
    octane, pressure, aromatics = properties.T
    knocking = np.logaddexp(0, (94 - octane) / 1.5)
    nitrogen_oxides = 38 + 5 * knocking + 0.012 * (aromatics - 12) ** 2
    hydrocarbons = 45 + 0.9 * aromatics + 14 * np.logaddexp(0, (pressure - 62) / 5) + 0.08 * (octane - 96) ** 2
    return np.column_stack([nitrogen_oxides, hydrocarbons])


def main() -> None:
    """Train on a laboratory's random recipes, and on an engine test bench's petrols."""
    random = np.random.default_rng(0)
    recipes = random.dirichlet(np.ones(6), 6000)
    measured = true_properties(recipes) + random.normal(0, [0.1, 0.3, 0.1], (6000, 3))
    train(recipes, measured, (24, 24), PROPERTIES, ("fractions", "properties"))
    petrols = random.uniform([80, 30, 0], [102, 100, 55], (6000, 3))
    measured = true_emissions(petrols) + random.normal(0, 0.5, (6000, 2))
    train(petrols, measured, (16, 16), EMISSIONS, ("properties", "emissions"))


if __name__ == "__main__":
    main()
