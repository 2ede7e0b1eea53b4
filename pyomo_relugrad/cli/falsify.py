"""``relugrad falsify``: an input that breaks a property."""

from __future__ import annotations

import json
import time

from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.values import save_vector, shown
from pyomo_relugrad.readers.sources import load_network
from pyomo_relugrad.readers.vnnlib import load_vnnlib
from pyomo_relugrad.solve.counterexample import find_counterexample


def falsify(arguments: Arguments) -> ExitCode:
    """Look for a counterexample and show it."""
    network = load_network(arguments.file)
    property_ = load_vnnlib(arguments.property)
    begin = time.perf_counter()
    found = find_counterexample(
        network, property_, time_limit=arguments.time_limit, seed=arguments.seed, method=arguments.method
    )
    seconds = time.perf_counter() - begin
    if arguments.json:
        point = {"inputs": found and found.x.tolist(), "outputs": found and found.y.tolist()}
        names = {"network": str(arguments.file), "property": str(arguments.property)}
        print(json.dumps({**names, "found": found is not None, "seconds": seconds, **point}, indent=2))
    elif found is None:
        print(f"No counterexample found in {seconds:.2f} s; there may still be one.")
    else:
        print(
            f"Counterexample found in {seconds:.2f} s.", shown("Inputs", found.x), shown("Outputs", found.y), sep="\n"
        )
    if found is None:
        return ExitCode.NOTHING_FOUND
    if arguments.save is not None:
        save_vector(found.x, arguments.save)
    return ExitCode.FINE
