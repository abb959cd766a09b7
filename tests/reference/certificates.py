"""Are the errors that `gradflow certify` reports the true ones?

    GRADFLOW_COMMAND=build/bin/gradflow /usr/bin/python3 tests/reference/certificates.py N [--first SEED]

Runs N random cases in every formulation, by several methods and tolerances, has each run certified, and holds every
reported error (of event times, and of the states at every snapshot) against the oracle's. Prints for each kind of solve
the share of reported errors that are within a factor 3 of the true one (meant: all), the range of their ratio, and how
often the exit code was 4. True errors that the oracle cannot tell are left out. Takes about a minute a case.
"""
import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import h5py
import numpy as np

import agreement
from cases import random_case
from oracle import TooLong

SOLVES = [("reduced", "dopri5", 1e-4), ("coupled", "dopri5", 1e-6), ("full", "cash-karp54", 1e-7),
          ("reduced", "fehlberg78", 1e-5), ("reduced", "dopri5", 1e-8)]
ORACLE = 1e-10  # relative: 30 times what the oracle is good for, so that its own error does not count


def certificate(file):
    done = subprocess.run([os.environ["GRADFLOW_COMMAND"], "certify", file, "--json", "--quiet"], capture_output=True,
                          text=True)
    if done.returncode not in (0, 4):
        raise RuntimeError(done.stderr)
    return done.returncode, json.loads(done.stdout)


def ratios(case, trajectory, file, document):
    """Reported over true error, of all that the oracle can tell."""
    found = []
    errors = {e["name"]: e["crossings"] for e in document["events"]}
    for history in trajectory.histories:
        name, level = history.condition.name, history.condition.level
        own = [v for k, v in errors.items() if k == name or (level is not None and k.startswith(name + "(")
                                                             and float(k[len(name) + 1:-1]) == level)]
        for direction in (1, -1):
            exact = [x.t for x in history.crossings if x.direction == direction]
            given = [c for v in own for c in v if c["direction"] == direction]
            if len(exact) == len(given):
                found += [c["error"] / abs(c["t"] - t) for c, t in zip(given, exact)
                          if c["error"] is not None and abs(c["t"] - t) > ORACLE * t]
    reported = {q["name"]: q["error"] for q in document["states"]}
    with h5py.File(file) as run:
        coupled = "G" in run["states"]
        for k, t in enumerate(document["state_t"]):
            for name, exact in agreement._state(case, trajectory.model, trajectory.state(t), coupled).items():
                true_error = np.linalg.norm(run["states"][name][k] - exact)
                if true_error > ORACLE * np.linalg.norm(exact):
                    found.append(reported[name][k] / true_error)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    found, refused = {solve: [] for solve in SOLVES}, dict.fromkeys(SOLVES, 0)
    for seed in range(arguments.first, arguments.first + arguments.cases):
        case = random_case(seed)
        try:
            trajectory = agreement.solve(case)
        except TooLong:
            print(f"seed {seed} left out: too long for the oracle")
            continue
        for solve in SOLVES:
            formulation, method, rtol = solve
            with tempfile.TemporaryDirectory() as folder:
                run = agreement.run(case, pathlib.Path(folder), formulation, method, rtol=rtol, atol=rtol / 100)
                code, document = certificate(run.file)
                found[solve] += ratios(case, trajectory, run.file, document)
                refused[solve] += code == 4
    for (formulation, method, rtol), values in found.items():
        values = np.array(values)
        inside = np.mean((values > 1 / 3) & (values < 3))
        print(f"{formulation}, {method} at rtol {rtol:g}: {len(values)} errors, {inside:.2%} within a factor 3, from "
              f"{values.min():.3f} to {values.max():.3f}; exit code 4: {refused[formulation, method, rtol]} runs")


if __name__ == "__main__":
    main()
