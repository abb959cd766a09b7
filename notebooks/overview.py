#!/usr/bin/python3
"""Draws a run: loss per class, values G and attention scores of the tracked words, in log time, with the located events.

    /usr/bin/python3 notebooks/overview.py RUN.h5 [-o FIGURE.png|.svg|.pdf]

Needs h5py, numpy and matplotlib (Debian: python3-h5py, python3-matplotlib).
"""
import argparse
from pathlib import Path

import h5py
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's palette: told apart by people who are colour-blind, and in grey by its line styles.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", ":"]


def labels(dataset):
    return [value.decode() if isinstance(value, bytes) else str(value) for value in dataset[:]]


def good_events(run):
    """(name, t) of every event whose condition comes to hold for good after the start, in order of time."""
    names = labels(run["events/summary/event"])
    times = run["events/summary/for_good"][:]
    return sorted(((name, t) for name, t in zip(names, times) if np.isfinite(t)), key=lambda pair: pair[1])


def lines(axes, t, columns, names):
    for i, (column, name) in enumerate(zip(columns.T, names)):
        axes.plot(t, column, color=COLOURS[i % 7], linestyle=STYLES[i // 7 % 4], linewidth=1.6, label=name)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.25, linewidth=0.5)


def draw(run):
    late = run["t"][:] > 0  # t = 0 has no place on a log axis
    t = run["t"][:][late]
    words = labels(run["word"])
    width = int(run.attrs["width"])
    figure, (loss, value, score) = plt.subplots(3, 1, sharex=True, figsize=(9, 8.5), height_ratios=(3, 2, 3))

    lines(loss, t, run["loss_class"][late], labels(run["class"]))
    loss.plot(t, run["loss"][late], color="black", linewidth=2.4, alpha=0.6, label="all")
    loss.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    loss.set(yscale="log", ylabel="loss (mean of a class)")

    lines(value, t, run["G"][late], [f"G({word})" for word in words])
    value.set(ylabel="value G of a word")

    scores = (run["B"][late] - run["B"][0]) / np.sqrt(width)
    pairs = [f"{key} ← {query}" for key in words for query in words]
    lines(score, t, scores.reshape(len(t), -1), pairs)
    score.set(ylabel="change of the attention score\nA(key ← query) since t = 0", xscale="log", xlabel="flow time t")

    for axes in (loss, value, score):
        axes.set_xlim(t[0], t[-1])
        for _, time in good_events(run):
            axes.axvline(time, color="0.5", linewidth=0.8, linestyle=(0, (2, 2)))
    place_names(loss, [(name, time) for name, time in good_events(run) if t[0] <= time <= t[-1]])
    outcome = Path(run.filename).name
    figure.suptitle(f"{outcome}: {run.attrs['formulation']} flow by {run.attrs['method']}, rtol {run.attrs['rtol']:g}", fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    return figure


def place_names(axes, events):
    """Names above the panel, moved apart where times lie close together."""
    low, high = np.log10(axes.get_xlim())
    step, last = 0.025, -np.inf
    for name, time in events:
        last = max((np.log10(time) - low) / (high - low), last + step)
        axes.annotate(name, xy=(time, 1), xycoords=("data", "axes fraction"), xytext=(last, 1.03),
                      textcoords="axes fraction", rotation=55, fontsize=7.5, color="0.25", ha="left", va="bottom",
                      annotation_clip=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="default: the run's name with .png, in the current folder")
    arguments = parser.parse_args()
    output = arguments.output or Path(arguments.run.stem + ".png")
    with h5py.File(arguments.run, "r", libver="latest", swmr=True) as run:
        draw(run).savefig(output, dpi=130)
    print(output)


if __name__ == "__main__":
    main()
