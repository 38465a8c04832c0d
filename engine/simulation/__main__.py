"""Replay one simulation and print its history: `python -m engine.simulation workload=... seed=...`.

Exit codes: 0 where all went well, 1 for a violation, 2 for a recipe that cannot be read.
"""

from __future__ import annotations

import sys

from engine.simulation.recipes import InvalidRecipe, parse_recipe, prepare, workload_of


def main(words: list[str]) -> int:
    try:
        recipe = parse_recipe(words)
        simulation = prepare(recipe, workload_of(recipe))
    except InvalidRecipe as error:
        print(error, file=sys.stderr)
        return error.exit_code
    with simulation:
        report = simulation.run()
        for line in simulation.history.lines():
            print(line)
    return 0 if report.violation is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
