"""What the Python programs of a comparison share: their arguments, task and start, the state that they write, the line they print."""
import argparse
import json
import sys
import time

import h5py
import numpy as np

NAMES = ("W", "W_V", "W_K", "W_Q")


class Problem:
    """Task and start of a file that `bench-solve --export` wrote. Words' vectors are rows here, so that a word's is contiguous."""

    def __init__(self, path):
        with h5py.File(path) as file:
            self.tokens = file["tokens"][()]  # [n, L]
            self.labels = file["labels"][()].astype(float)
            self.a = file["a"][()]
            self.W = file["W"][()]  # [m1, m]
            self.W_V, self.W_K, self.W_Q = (np.ascontiguousarray(file[name][()].T) for name in NAMES[1:])  # [d, m]

    def pack(self):
        return np.concatenate([getattr(self, name).ravel() for name in NAMES])

    def unpack(self, x):
        """W, W_V, W_K, W_Q, as views of a state [W | W_V | W_K | W_Q]."""
        ends = np.cumsum([getattr(self, name).size for name in NAMES])
        return [part.reshape(getattr(self, name).shape) for name, part in zip(NAMES, np.split(x, ends[:-1]))]


def arguments(description, methods):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("problem", help="task and start (HDF5)")
    parser.add_argument("--until", type=float, default=1.0)
    parser.add_argument("--rtol", type=float, default=1e-6)
    parser.add_argument("--atol", type=float, default=1e-8)
    parser.add_argument("--method", choices=methods, default=methods[0])
    parser.add_argument("--out", required=True, help="where the final state goes (HDF5)")
    parser.add_argument("--derivative", action="store_true", help="write the derivative at the start instead")
    return parser.parse_args()


def write_state(path, problem, x):
    W, W_V, W_K, W_Q = problem.unpack(x)
    with h5py.File(path, "w") as file:
        file["u"] = W.T @ problem.a
        file["W_V"], file["W_K"], file["W_Q"] = W_V.T, W_K.T, W_Q.T


def peak_bytes():
    """The largest memory that the process has had so far. (getrusage also counts the program that started this one.)"""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def scipy_solve(solver, derivative, x, options):
    """Steps of one of SciPy's methods to the end, without the trajectory that solve_ivp keeps."""
    steps = 0
    method = solver(derivative, 0.0, x, options.until, rtol=options.rtol, atol=options.atol)
    while method.status == "running":
        message = method.step()
        steps += 1
    if method.status != "finished":
        sys.exit(message)
    return method.y, steps


def main(options, problem, derivative, solve):
    """`derivative(t, x)`; `solve(derivative, x)` returns the state at the end and the number of steps."""
    evaluations = 0

    def counted(t, x):
        nonlocal evaluations
        evaluations += 1
        return derivative(t, x)

    x = problem.pack()
    if options.derivative:
        write_state(options.out, problem, derivative(0.0, x))
        return
    wall, processor = time.perf_counter(), time.process_time()
    x, steps = solve(counted, x)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = peak_bytes()
    write_state(options.out, problem, x)
    print(json.dumps({"seconds": wall, "processor_seconds": processor, "evaluations": evaluations, "steps": steps, "peak_bytes": peak}))
