"""Reads the run that example_run.hpp describes, or the comparison of example_comparison.hpp, while it is written, or
after its writer was killed.

read_live.py FILE         once: every committed row must be whole
read_live.py FILE ROWS    again and again, until that many rows of observables are committed (of a comparison: of every
                          run and of the group comparison)

Exit code 0 if every row was right at every look; the numbers of rows and of looks on standard output.
"""
import os
import sys
import time

import h5py
import numpy as np

SCALARS = 20
WIDTHS = {f"q{i}": 1 for i in range(SCALARS)} | {"G": 3, "B": 9, "Gamma": 9, "power": 4}


def check(group, expected):
    """`t` is written last: as many rows as it has must be whole in every column."""
    group["t"].refresh()
    t = group["t"][:]
    for name, value in expected.items():
        group[name].refresh()
        rows = group[name][: len(t)]
        assert len(rows) == len(t), f"{group.name}/{name}: {len(rows)} rows of {len(t)}"
        assert np.array_equal(rows.reshape(len(t), int(np.prod(rows.shape[1:]))), value(t)), f"{group.name}/{name}: wrong values"
    return t


def ramp(scale, size, first=0):
    return lambda t: (scale * t)[:, None] + np.arange(first, first + size)


def look(run, spacing=0.25):
    first, columns = 0, {}
    for name, width in WIDTHS.items():
        columns[name] = ramp(1000, width, first)
        first += width
    t = check(run, columns)
    assert np.array_equal(t, spacing * np.arange(len(t))), f"{run.name}/t: rows lost, or another run's"
    states = check(run["states"], {"W": ramp(1000, 16 * 32), "W_V": ramp(2000, 32 * 8), "drift": ramp(1, 1)})
    steps = check(run["steps"], {"clock_step": ramp(1, 1), "error_ratio": ramp(0.5, 1)})
    crossings = check(run["events/crossings"], {"event": ramp(0, 1), "slope": ramp(-1, 1), "loss": ramp(3, 1)})
    return len(t), len(states), len(steps), len(crossings)


def look_everywhere(file):
    """The fewest rows of all runs, and of the comparison."""
    if "comparison" not in file:
        return look(file)
    counts = [look(file["flow"])] + [look(run, 0.25 * (2 + int(i))) for i, run in file["descents"].items()]
    assert len(counts) == 4
    t = check(file["comparison"], {"distance": ramp(10, 3), "distance_matrix": ramp(10, 12, 3)})
    assert np.array_equal(t, 0.25 * np.arange(len(t))), "comparison/t: rows lost"
    return np.min(counts + [(len(t), *counts[0][1:])], axis=0)


def main():
    path, wanted = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < deadline, "the file never appeared"
        time.sleep(0.001)
    looks, lengths = 0, set()
    with h5py.File(path, "r", libver="latest", swmr=True) as file:
        while True:
            rows = look_everywhere(file)
            looks += 1
            lengths.add(rows[0])
            if rows[0] >= wanted:
                break
            assert time.monotonic() < deadline, f"only {rows[0]} rows after {looks} looks"
    print(*rows, looks, len(lengths))


if __name__ == "__main__":
    main()
