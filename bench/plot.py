"""The work-precision picture: achieved error against processor seconds and against evaluations of the gradient.

    python3 bench/plot.py bench/results/solves.json bench/work-precision.png
"""
import json
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Colours that stay apart for the colour-blind (Okabe and Ito 2008), markers and lines that stay apart in black and white.
PEERS = {"Odeint": ("#0072B2", "s"), "SciPy RK45": ("#009E73", "^"), "SciPy DOP853": ("#E69F00", "v"), "PyTorch": ("#CC79A7", "D")}
OTHER_METHODS = (("#D55E00", "P"), ("#56B4E9", "X"), ("#999999", "*"), ("#B8A800", "h"), ("#7F3C8D", "p"))


def style(name, default, others):
    if name == default:
        return dict(color="#000000", linestyle="-", marker="o", linewidth=2)
    for start, (colour, marker) in PEERS.items():
        if name.startswith(start):
            return dict(color=colour, linestyle="--", marker=marker)
    colour, marker = OTHER_METHODS[others.index(name) % len(OTHER_METHODS)]
    return dict(color=colour, linestyle=":", marker=marker)


def main(source, target):
    results = json.load(open(source))
    default, *others = (f"gradflow, {method}" for method in results["methods"])
    cases = [name for name in ("S", "M", "L") if name in results["cases"]]
    figure, axes = plt.subplots(2, len(cases), figsize=(3.9 * len(cases) + 0.6, 7.4), squeeze=False, layout="constrained")
    handles = {}
    for column, name in enumerate(cases):
        case = results["cases"][name]
        shown = [program for program in case["programs"] if not program.startswith("gradflow command")]
        for program in shown:
            rungs = sorted(case["programs"][program]["rungs"], key=lambda rung: -rung["rtol"])
            errors = [rung["error"] for rung in rungs]
            work = ([statistics.median(rung["processor_seconds"]) for rung in rungs], [rung["evaluations"] for rung in rungs])
            for row, values in enumerate(work):
                (handles[program],) = axes[row, column].loglog(values, errors, markersize=5, **style(program, default, others))
        axes[0, column].set_title(f"{name}: {case['state_bytes'] / 1e6:.3g} MB, to t = {case['case']['until']:g}")
        for row, label in enumerate(("processor seconds, one thread", "evaluations of the gradient")):
            axes[row, column].set_xlabel(label)
            axes[row, column].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes[row, column].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes[row, column].xaxis.set_minor_formatter(NullFormatter())
            axes[row, column].axhline(1e-5, color="#bbbbbb", linewidth=0.8, zorder=0)
            axes[row, column].grid(True, which="major", color="#eeeeee", zorder=0)
    for row in range(2):
        axes[row, 0].set_ylabel("achieved relative error")
    rows = -(-len(handles) // len(cases))
    figure.get_layout_engine().set(rect=(0, 0.03 * rows, 1, 1 - 0.03 * rows))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=len(cases), fontsize=9, frameon=False)
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:3])
