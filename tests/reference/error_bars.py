"""How often do the stated errors of event times hold, and how generous are they?

    GRADFLOW_COMMAND=build/bin/gradflow /usr/bin/python3 tests/reference/error_bars.py N [--first SEED]

Solves N random cases at several tolerances, and holds every crossing's error bar against the oracle's time. Prints, for each
method and tolerance, the share of crossings that lie outside their bar (meant: fewer than 1 in 20) and the quantiles of true error
over bar (meant: mostly above 0.01). Takes about half a minute a case.
"""
import argparse
import pathlib
import tempfile

import numpy as np

import agreement
from cases import random_case
from oracle import TooLong

SOLVES = [("dopri5", 1e-5), ("dopri5", 1e-7), ("dopri5", 1e-8), ("fehlberg78", 1e-8)]
ORACLE = 3e-12  # relative: what the oracle's own times are good for; nearer agreement says nothing


def errors_over_bars(case, trajectory, method, rtol):
    """(true error / bar of every certain crossing that the oracle can judge, number of events whose crossings differ)."""
    with tempfile.TemporaryDirectory() as folder:
        run = agreement.run(case, pathlib.Path(folder), "reduced", method, rtol=rtol, atol=rtol / 100)
    events = agreement.reported(run.report)
    ratios, differ = [], 0
    for history in trajectory.histories:
        event = events[history.condition.name, history.condition.level]
        for key, direction in (("up", 1), ("down", -1)):
            exact = [x.t for x in history.crossings if x.direction == direction]
            given = [x for x in event[key] if x["certain"]]
            if len(given) != len(exact):
                differ += 1
                continue
            ratios += [abs(x["t"] - t) / x["error"] for x, t in zip(given, exact) if abs(x["t"] - t) > ORACLE * t]
    return ratios, differ


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    ratios, differ = {solve: [] for solve in SOLVES}, dict.fromkeys(SOLVES, 0)
    for seed in range(arguments.first, arguments.first + arguments.cases):
        case = random_case(seed)
        try:
            trajectory = agreement.solve(case)
        except TooLong:
            print(f"seed {seed} left out: too long for the oracle")
            continue
        for solve in SOLVES:
            found, different = errors_over_bars(case, trajectory, *solve)
            ratios[solve] += found
            differ[solve] += different
    for (method, rtol), found in ratios.items():
        quantiles = " ".join(f"{q:.3f}" for q in np.quantile(found, [0.05, 0.5, 0.95, 0.99]))
        outside = np.mean(np.array(found) > 1)
        print(f"{method} at rtol {rtol:g}: {len(found)} crossings, {outside:.1%} outside their bar; true error / bar at 5, 50, 95, "
              f"99 %: {quantiles}; events whose crossings differ in number: {differ[method, rtol]}")


if __name__ == "__main__":
    main()
