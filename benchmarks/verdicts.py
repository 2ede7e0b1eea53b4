"""How long verdicts on properties of real networks take, and what they are.

Needs the collections beside the repository: `../shared/networks/vnncomp` (ACAS Xu, properties 1 to 4 and 7 on three
networks, and a network of MNIST with balls of radius 0.03 and 0.05) and `../shared/models/rsl18a` (twelve images).
Prints a line for each: the answer, seconds of wall clock for the whole call of `verify` (the network has been read), of
processor time, and whether that is within the time that it should take.

    OPENBLAS_NUM_THREADS=1 python benchmarks/verdicts.py --only ACAS --time-limit 10
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyomo_relugrad import Network, load_onnx, verify
from pyomo_relugrad.readers.vnnlib import Case, Property, load_vnnlib

SHARED = Path(__file__).parents[1].parent / "shared"
ACAS = ("1_1", "2_7", "3_3")


@dataclass(frozen=True, eq=False)
class Instance:
    """A property of a network, and the seconds that its verdict should take."""

    name: str
    network: Network
    property_: Property
    seconds: float


def acas(folder: Path) -> Iterator[Instance]:
    """Properties 1 to 4 and 7 of the collision avoidance networks."""
    for number in ACAS:
        network = load_onnx(folder / f"ACASXU_run2a_{number}_batch_2000.onnx")
        for property_ in (1, 2, 3, 4, 7):
            yield Instance(
                f"ACAS Xu {number}, property {property_}",
                network,
                load_vnnlib(folder / f"acasxu_prop_{property_}.vnnlib"),
                1.0,
            )


def mnist(folder: Path) -> Iterator[Instance]:
    """Whether an image is read alike all over a ball around it, two layers of 256."""
    network = load_onnx(folder / "mnist-net_256x2.onnx")
    for file in sorted(folder.glob("mnist_fc_prop_*.vnnlib")):
        yield Instance(f"MNIST 256x2, {file.stem.removeprefix('mnist_fc_prop_')}", network, load_vnnlib(file), 60.0)


def images(folder: Path) -> Iterator[Instance]:
    """The same within 0.1 of every pixel, one layer of 500 (Raghunathan, Steinhardt and Liang, 2018)."""
    network, data = load_onnx(folder / "network.onnx"), np.load(folder / "images_1_12.npz")
    for number, image, label in zip(data["numbers"].tolist(), data["images"], data["labels"].tolist(), strict=True):
        pixels = image / 255.0
        lower, upper = np.clip(pixels - 0.1, 0.0, 1.0), np.clip(pixels + 0.1, 0.0, 1.0)
        rows = np.eye(10)[label] - np.delete(np.eye(10), label, axis=0)  # another logit is not smaller
        cases = tuple(Case(lower, upper, np.zeros((1, 784)), row[None], np.zeros(1)) for row in rows)
        yield Instance(f"RSL18a, image {number}", network, Property(784, 10, cases), 60.0)


def instances() -> Iterator[Instance]:
    """All of which the files are there."""
    vnncomp, rsl18a = SHARED / "networks" / "vnncomp", SHARED / "models" / "rsl18a"
    if vnncomp.is_dir():
        yield from acas(vnncomp)
        yield from mnist(vnncomp)
    if rsl18a.is_dir():
        yield from images(rsl18a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run only instances whose name contains this")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each (default 60)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the median counts (default 1)")
    arguments = parser.parse_args()
    decided = within = total = 0
    print(f"{'instance':28}{'answer':>10}{'wall s':>9}{'cpu s':>9}{'within':>8}")
    for instance in instances():
        if arguments.only not in instance.name:
            continue
        walls, processors, answers = [], [], []
        for _ in range(arguments.repeat):
            begin, processor = time.perf_counter(), time.process_time()
            answers.append(verify(instance.network, instance.property_, time_limit=arguments.time_limit).answer.value)
            walls.append(time.perf_counter() - begin)
            processors.append(time.process_time() - processor)
        wall, answer = float(np.median(walls)), "/".join(sorted(set(answers)))
        is_decided = "unknown" not in answers
        is_within = is_decided and wall <= instance.seconds
        decided, within, total = decided + is_decided, within + is_within, total + 1
        print(
            f"{instance.name:28}{answer:>10}{wall:9.2f}{float(np.median(processors)):9.2f}"
            f"{'yes' if is_within else 'no':>8}",
            flush=True,
        )
    print(f"{decided} of {total} decided, {within} within the time that they should take")


if __name__ == "__main__":
    main()
