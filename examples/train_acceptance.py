"""Train the acceptance network: who takes an offer of credit, given who he is and how large the bonus is.

Writes ``acceptance.onnx`` next to this file. The file is part of the repository, so there is no need to run this.
"""

from pathlib import Path

import numpy as np
from mlp_to_onnx import train

FILE = Path(__file__).with_name("acceptance.onnx")
LARGEST_BONUS = 5.0  # hundreds


def draw_customers(count: int, random: np.random.Generator) -> np.ndarray:
    """Customers (count, 4): age in years, yearly income in thousands, years with us, distance in km."""
    age = random.uniform(20, 75, count)
    income = np.clip(random.lognormal(3.6, 0.45, count), 12, 150)
    loyalty = np.minimum(random.exponential(5, count), age - 18)
    distance = np.clip(random.gamma(2.0, 6.0, count), 0, 60)
    return np.column_stack([age, income, loyalty, distance])


def true_acceptance(customers: np.ndarray, bonus: np.ndarray) -> np.ndarray:
    """Probabilities (n,) that customers (n, 4) accept with a bonus (n,) in hundreds: nobody moves for a trifle.

    A bonus counts when it is noticed, which takes more of it where the income is high; then its effect saturates.
    """
    age, income, loyalty, distance = customers.T
    noticed = 0.4 + income / 40
    pull = 3.4 * bonus**3 / (bonus**3 + noticed**3)
    interest = -2.6 + 0.12 * loyalty - 0.03 * distance - ((age - 45) / 22) ** 2 * 0.5
    return 1 / (1 + np.exp(-(interest + pull)))


def main() -> None:
    """Train on yes or no of 40 000 customers who were offered bonuses at random."""
    random = np.random.default_rng(0)
    customers, bonus = draw_customers(40_000, random), random.uniform(0, LARGEST_BONUS, 40_000)
    accepted = random.random(len(bonus)) < true_acceptance(customers, bonus)
    inputs = np.column_stack([customers, bonus])
    train(inputs, accepted[:, None].astype(float), (64, 64), FILE, ("customer", "acceptance"), alpha=0.01)


if __name__ == "__main__":
    main()
