#!/usr/bin/env python3
"""Compares the command with the oracle on N random cases: GRADFLOW_COMMAND=... tests/reference/sweep.py N.

One line per case, each disagreement below it, a tally at the end; the exit code is 1 if anything disagreed. With
--hard only cases run in which `overtaken` crosses more than once or holds from the start. Without GRADFLOW_COMMAND
the oracle alone is tallied.
"""
import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import agreement  # noqa: E402
from cases import random_case  # noqa: E402
from oracle import TooLong  # noqa: E402

FORMULATIONS = ("full", "reduced", "coupled")
METHODS = ("dopri5", "fehlberg78", "cash-karp54")


def kind(history):
    start = "starts true" if history.true_at_start else "starts false"
    return "not applicable" if not history.applicable else f"{start}, {len(history.crossings)} crossings"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="seed of the first case (default 0)")
    parser.add_argument("--hard", action="store_true", help="only where overtaken is intricate")
    options = parser.parse_args()
    tally, disagreed, seed, done = Counter(), 0, options.first - 1, 0
    while done < options.cases:
        seed += 1
        case = random_case(seed)
        try:
            trajectory = agreement.solve(case)
        except TooLong as problem:
            print(f"seed {seed}: left out, {problem}", flush=True)
            continue
        overtaken = trajectory.history("overtaken")
        if options.hard and not (len(overtaken.crossings) > 1 or overtaken.true_at_start):
            continue
        done += 1
        tally[kind(overtaken)] += 1
        nearest = min(history.closest for history in trajectory.histories)
        line = f"seed {seed}: overtaken {kind(overtaken)}, nearest miss {nearest:.1e}"
        found = []
        if os.environ.get("GRADFLOW_COMMAND"):
            formulation, method = FORMULATIONS[seed % 3], METHODS[seed // 3 % 3]
            try:
                with tempfile.TemporaryDirectory() as folder:
                    run = agreement.run(case, Path(folder), formulation, method)
                    events, time_error = agreement.event_differences(trajectory, run.report)
                    values, value_error = agreement.value_differences(case, trajectory, run.file)
                found = events + values
                line += f", {formulation} {method}, times {time_error:.1e}, values {value_error:.1e}"
            except (RuntimeError, KeyError, OSError) as problem:
                found = [f"{type(problem).__name__}: {problem}"]
        print("\n    ".join([line, *found]), flush=True)
        disagreed += bool(found)
    print(f"\n{done} cases, {disagreed} disagreed")
    for name, count in sorted(tally.items()):
        print(f"{count:5d}  overtaken {name}")
    return 1 if disagreed else 0


if __name__ == "__main__":
    sys.exit(main())
