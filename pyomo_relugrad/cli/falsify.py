"""``relugrad falsify``: an input that breaks a property."""

from __future__ import annotations

import json
import time

from pyomo_relugrad.cli.arguments import Arguments
from pyomo_relugrad.cli.asked import Asked
from pyomo_relugrad.cli.exit_codes import ExitCode
from pyomo_relugrad.cli.values import save_vector
from pyomo_relugrad.solve import find_counterexample


def falsify(arguments: Arguments) -> ExitCode:
    """Look for a counterexample and show it."""
    asked = Asked(arguments)
    networks, property_ = asked.networks, asked.property_
    begin = time.perf_counter()
    found = find_counterexample(
        networks, property_, time_limit=arguments.time_limit, seed=arguments.seed, method=arguments.method
    )
    seconds = time.perf_counter() - begin
    if arguments.json:
        answer = {**asked.names, "found": found is not None, "seconds": seconds, **asked.as_json(found)}
        print(json.dumps(answer, indent=2))
    elif found is None:
        print(f"No counterexample found in {seconds:.2f} s; there may still be one.")
    else:
        print(f"Counterexample found in {seconds:.2f} s.", *asked.in_words(found), sep="\n")
    if found is None:
        return ExitCode.NOTHING_FOUND
    if arguments.save is not None:
        save_vector(found.x, arguments.save)
    return ExitCode.FINE
