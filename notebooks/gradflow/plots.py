"""Pictures of runs and comparisons, for a page: 7 inches wide, told apart by people who are colour-blind and in grey.

Each function draws into `figure`, cleared first, or into a new one, and returns it. Times are flow time: the number of
gradient-descent steps times their rate. All quantities are pure numbers; losses are natural logarithms (nats).
"""
import functools
import itertools
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.backend_bases
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

from . import quantities
from .errors import GradflowError, NotReady
from .reader import Comparison

#: Okabe and Ito's palette (https://jfly.uni-koeln.de/color), without its yellow, which is too light for lines.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", ":"]
TIME = "flow time $t$ = steps × rate"
_STYLE = {"font.size": 9, "axes.labelsize": 9, "legend.fontsize": 8, "legend.frameon": False, "legend.handlelength": 2.4,
          "lines.linewidth": 1.5, "axes.grid": True, "grid.alpha": 0.25, "grid.linewidth": 0.5, "savefig.dpi": 200,
          "pdf.fonttype": 42}


def _drawing(draw):
    """Gives `draw` our style and an empty figure."""
    @functools.wraps(draw)
    def drawn(*arguments, figure=None, **options):
        # Made outside the context, which at its end would undo what a notebook's backend sets with the first figure.
        target = plt.figure(dpi=110) if figure is None else figure
        try:
            with mpl.rc_context(_STYLE):
                for axes in target.axes:  # removed whole: a logarithmic axis that is cleared warns of its limits
                    axes.remove()
                target.clear()
                target.set_layout_engine("constrained")
                draw(target, *arguments, **options)
        except BaseException:
            if figure is None:
                plt.close(target)  # else it would be shown, empty
            raise
        return target
    return drawn


def picture(item, figure=None):
    """The standard picture of whatever open_run or open_comparison gave."""
    return (comparison if isinstance(item, Comparison) else overview)(item, figure=figure)


@_drawing
def overview(figure, run):
    """Loss of each class, values G, attention scores and smallest margin in log time, with the events and phases."""
    there = run.observables
    panels = [(_losses, 3)] * ("loss" in there) + [(_values, 2)] * ("G" in there) + [(_scores, 3)] * ("B" in there)
    panels += [(_margin, 1.5)] * ("margin_min" in there)
    if not panels:  # another flow's file
        panels = [(functools.partial(_series, name=name), 2) for name in there if there[name].dims == ("t",)]
    if not panels:
        raise GradflowError(f"'{run.path}' has no observable that could be drawn")
    _wait_for_rows(run.path, run.observables)
    figure.set_size_inches(7, 0.9 + 0.8 * sum(height for _, height in panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=[height for _, height in panels])[:, 0]
    for panel, (draw, _) in zip(axes, panels):
        draw(panel, run)
        _mark_events(panel, run)
    axes[-1].set(xscale="log", xlabel=TIME)
    t = run.observables.t.values
    axes[0].set_xlim(t[t > 0][0], t[-1])
    _name_events(axes[0], run)
    if np.isfinite(run.T1[0]):
        axes[0].text(0.01, 0.04, "shaded: Phase 1, to $T_1$", transform=axes[0].transAxes, fontsize=7.5, color="0.3")
    figure.suptitle(_caption(run), x=0.01, ha="left", fontsize=8)
    figure.align_ylabels(axes)


@_drawing
def comparison(figure, compared):
    """The loss of the flow and of the descents, and the distance of each descent from the flow, in log time."""
    _wait_for_rows(compared.path, compared.flow.observables)
    _wait_for_rows(compared.path, compared.distances)
    figure.set_size_inches(7, 5.4)
    loss, distance = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    flow = compared.flow.observables
    loss.plot(flow.t[1:], flow.loss[1:], color="0.6", linewidth=4, label="flow")
    for i, (label, descent) in enumerate(zip(compared.labels, compared.descents)):
        shown = descent.observables.isel(t=slice(1, None))
        loss.plot(shown.t, shown.loss, label=label, **_line(i))
        apart = compared.distances.isel(t=slice(1, None), descent=i)
        distance.plot(apart.t, apart.distance.where(apart.distance > 0), label=label, **_line(i))
        for order in (2, 3):  # gradient descent's own modified flows, where the experiment asked for them
            modified = apart.get(f"distance_order{order}")
            if modified is not None and np.isfinite(modified).any():
                distance.plot(apart.t, modified.where(modified > 0), label=f"{label} from its flow of order {order}",
                              **{**_line(i), "linewidth": 0.7, "linestyle": {2: "-", 3: ":"}[order]})
    loss.set(yscale="log", ylabel="training loss (nats)")
    distance.set(xscale="log", yscale="log", xlabel=TIME, ylabel="relative distance in parameters\n"
                 r"$|\theta_d - \theta_f|\,/\,|\theta_f|$")
    distance.set_xlim(float(compared.distances.t[1]) / 2, compared.t_end)
    _whole_decades(distance)
    for panel in (loss, distance):
        _legend_beside(panel)
        _mark_events(panel, compared.flow)
    _name_events(loss, compared.flow)
    figure.suptitle(_caption(compared.flow), x=0.01, ha="left", fontsize=8)
    figure.align_ylabels()


@_drawing
def figure1(figure, runs, xscale="log", until=None, rate=0.01):
    """The two panels of the paper's Figure 1, loss of each class and attention scores, a row for each of `runs` (a dictionary
    from names to runs), Phase 1 shaded; `xscale` is "log" or "linear", `until` the last time that is shown (default: all).
    The upper axis counts gradient-descent steps of `rate`."""
    figure.set_size_inches(7, 0.7 + 2.1 * len(runs))
    axes = figure.subplots(len(runs), 2, sharex=True, squeeze=False)
    last = until or max(run.t_end for run in runs.values())
    for row, (name, run) in zip(axes, runs.items()):
        loss, score = row
        _class_lines(loss, run)
        loss.set(ylabel=f"{name}\nloss of a class (nats)")
        one, two, common = quantities.targets_and_common(run)
        _score_lines(score, run, [(one, two), (two, one), (common, one), (common, two)], last)
        score.set(ylabel="change of score $A$\n(key ← query)")
        if np.isfinite(run.T1[0]):
            for panel in row:
                panel.axvspan(0, run.T1[0], color="0.88", zorder=0, label="Phase 1" if panel is axes[0, 0] else None)
    for panel in axes[0]:
        steps = panel.secondary_xaxis("top", functions=(lambda t: t / rate, lambda k: k * rate))
        steps.set_xlabel(f"gradient-descent steps of {rate:g}")
        if xscale == "linear":
            steps.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    for panel in axes[-1]:
        panel.set(xscale=xscale, xlabel=TIME)
    axes[0, 0].set_xlim(0 if xscale == "linear" else min(float(run.observables.t[1]) for run in runs.values()), last)
    axes[0, 0].legend(loc="upper right")
    axes[0, 1].legend(loc="upper left" if xscale == "log" else "center right")
    figure.align_ylabels()


@_drawing
def event_times(figure, table):
    """When events happen, over several runs: `table` has a row for each crossing, with event, t, error. Left the times, a mark
    for each run, with error bars; right the error bars relative to the times, which are too short to be seen on the left."""
    names = table.groupby("event").t.median().sort_values().index[::-1]
    figure.set_size_inches(7, 0.8 + 0.34 * len(names))
    times, errors = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for i, name in enumerate(names):
        of_one = table[table.event == name].sort_values("t")
        y = i + np.linspace(-0.25, 0.25, len(of_one))
        times.errorbar(of_one.t, y, xerr=of_one.error, fmt="o", markersize=3, capsize=2, color=COLOURS[0])
        errors.plot(of_one.error / of_one.t, y, "o", markersize=3, color=COLOURS[1])
    times.set(xscale="log", xlabel=TIME)
    times.set_yticks(range(len(names)), [_event_name(name) for name in names])
    errors.set(xscale="log", xlabel="error bar, relative to $t$")


@_drawing
def balance(figure, runs, limit):
    """R(t) against U(0) t for `runs` (a dictionary from names to runs), and how far it is from the `limit` that the theory
    knows, relative to it."""
    figure.set_size_inches(7, 3)
    value, distance = figure.subplots(1, 2, sharex=True)
    highest = 1
    for i, (name, run) in enumerate(runs.items()):
        R = quantities.balance(run)
        scaled = float(run.observables.U[0]) * R.t
        value.plot(scaled, R, label=name, **_line(i))
        distance.plot(scaled, np.abs(R / float(limit) - 1), **_line(i))
        highest = max(highest, float(R.max()))
    value.axhline(float(limit), color="0.35", linewidth=0.9)
    value.annotate(f"limit {limit} = {float(limit):.5f}", (0.98, float(limit)), xycoords=("axes fraction", "data"), fontsize=8,
                   xytext=(0, -4), textcoords="offset points", color="0.25", ha="right", va="top")
    value.set(xscale="log", ylim=(0.9, min(3, 1.1 * highest)), xlabel="scaled flow time $U(0)\\,t$",
              ylabel=r"$R = (S_2{+}S_3{+}S_4{-}S_1)\,/\,(S_1{-}S_2)$")
    value.set_xlim(left=1)
    value.legend(loc="upper right")
    distance.set(yscale="log", xlabel="scaled flow time $U(0)\\,t$", ylabel="distance from the limit, relative")


@_drawing
def approach(figure, table, limits):
    """How far measured values are from their limits, relative to these: `table` has a row for each width m (its index) and a
    column for each quantity that `limits` (a pandas.Series) has too."""
    figure.set_size_inches(5, 3.4)
    axes = figure.subplots()
    for i, name in enumerate(table):
        axes.plot(table.index, np.abs(table[name] / limits[name] - 1), marker="osD^"[i % 4], markersize=4,
                  label=_event_name(name), **_line(i))
    axes.set(xscale="log", yscale="log", xlabel="width $m$", ylabel="relative distance from the limit")
    axes.legend()


@_drawing
def attention_map(figure, matrix, words):
    """The entries of a [key, query] array among `words`, as colours centred on 0."""
    part = matrix.sel(key=words, query=words)
    figure.set_size_inches(1.8 + 0.3 * len(words), 1.2 + 0.3 * len(words))
    axes = figure.subplots()
    bound = float(np.abs(part).max())
    colours = axes.imshow(part, cmap="PuOr_r", vmin=-bound, vmax=bound)
    axes.set_xticks(range(len(words)), words, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(words)), words)
    axes.set(xlabel="query word", ylabel="key word")
    axes.grid(False)
    figure.colorbar(colours, label=part.attrs.get("long_name", ""), shrink=0.8)


def check_target(path, force=False):
    """Raises unless a figure can be written there: ValueError where the name's end says no format, naming them;
    FileExistsError unless `force`; FileNotFoundError where there is no such folder."""
    path = Path(path)
    formats = mpl.backend_bases.FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ValueError(f"'{path}' names no kind of picture; its end says which: .png, .svg, .pdf (or "
                         f"{', '.join('.' + f for f in sorted(formats.keys() - {'png', 'svg', 'pdf'}))})")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write '{path}': there is no folder '{path.parent}'")
    if path.exists() and not force:
        raise FileExistsError(f"'{path}' exists already; name another file with -o, or replace it with --force")


def save(figure, path, force=False):
    """Writes the figure, in the format that the name's end says. Raises as check_target does."""
    check_target(path, force)
    with mpl.rc_context(_STYLE):
        figure.savefig(path, bbox_inches="tight")


def _line(i):
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i % len(STYLES)]}


def _whole_decades(axes):
    low, high = np.log10(axes.dataLim.intervaly)
    axes.set_ylim(10 ** np.floor(low), 10 ** np.ceil(high))


def _legend_beside(axes, **options):
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), **options)


def _word(name):
    """A word as it is written in formulas where it is one of the paper's, mu_1, mu_2, ..."""
    return re.sub(r"^mu_(\d+)$", r"$\\mu_{\1}$", str(name))


def _class_lines(axes, run):
    loss = run.observables.loss_class
    for i, name in enumerate(loss["class"].values):
        axes.plot(loss.t, loss.sel({"class": name}), color=COLOURS[i % 7], linestyle=STYLES[i % 4], label=str(name))


def _score_lines(axes, run, pairs, until=None):
    """A colour for each key, a style for each query."""
    change = quantities.score_changes(run).sel(t=slice(None, until))
    words = list(change.key.values)
    for key, query in pairs:
        axes.plot(change.t, change.sel(key=key, query=query), color=COLOURS[words.index(key) % 7],
                  linestyle=STYLES[words.index(query) % 4], label=f"{_word(key)} ← {_word(query)}")


def _losses(axes, run):
    if "loss_class" in run.observables:
        _class_lines(axes, run)
    axes.plot(run.observables.t, run.observables.loss, color="0.3", linewidth=3, alpha=0.45, label="all")
    if "loss_test" in run.observables:
        axes.plot(run.observables.t, run.observables.loss_test, color="0", linewidth=0.9, label="fresh samples")
    axes.set(yscale="log", ylabel="loss (nats)")
    _legend_beside(axes)


def _values(axes, run):
    G = run.observables.G
    for i, name in enumerate(G.word.values):
        axes.plot(G.t, G.sel(word=name), color=COLOURS[i % 7], linestyle=STYLES[i // 7 % 4], label=f"G({_word(name)})")
    axes.axhline(0, color="0.35", linewidth=0.6)
    axes.set(ylabel="value $G$ of a word")
    _legend_beside(axes)


def _scores(axes, run):
    _score_lines(axes, run, itertools.product(run.observables.key.values, run.observables["query"].values))
    axes.set(ylabel="change of score $A$\n(key ← query)")
    _legend_beside(axes, ncols=1 if run.observables.sizes["key"] < 4 else 2, fontsize=7)


def _margin(axes, run):
    axes.plot(run.observables.t, run.observables.margin_min, color=COLOURS[0], label=r"$\min_i z_i$")
    axes.axhline(0, color="0.35", linewidth=0.6)
    axes.set(ylabel="smallest\nmargin")
    _legend_beside(axes)


def _series(axes, run, name):
    values = run.observables[name]
    axes.plot(values.t, values, color=COLOURS[0])
    axes.set(ylabel=f"{name} ({values.attrs.get('units', '1')})")


def _wait_for_rows(path, table):
    if table.sizes["t"] < 3:
        raise NotReady(f"'{path}' has {table.sizes['t']} of its rows yet; a picture takes three")


def _caption(run):
    attributes = run.attributes
    flow = f"{attributes['formulation']} flow" if "formulation" in attributes else "flow"
    told = f"{run.name}: {flow} by {attributes['method']}, rtol {attributes['rtol']:g}"
    return told if run.finished else told + f" (to t = {run.t_end:.4g}, unfinished)"


def _good_events(run):
    """(name, t) of every event that comes to hold for good in the time that is drawn, in order of time."""
    t = run.observables.t.values
    drawn = run.events.t[(run.events.t >= t[t > 0][0]) & (run.events.t <= t[-1])].sort_values()
    return list(drawn.items())


def _event_name(name):
    name = re.sub(r"^loss_below\((.*)\)$", r"loss < \1", str(name))
    return re.sub(r"^attention_moves\((.*)\)$", r"attention moved \1", name)


def _mark_events(axes, run):
    """A line for each event, and the first phase shaded."""
    low, high = axes.get_xlim()
    for _, t in _good_events(run):
        if low <= t <= high:
            axes.axvline(t, color="0.5", linewidth=0.7, linestyle=(0, (2, 2)), zorder=1)
    if np.isfinite(run.T1[0]):
        axes.axvspan(run.observables.t.values[1], run.T1[0], color="0.93", zorder=0)


def _name_events(axes, run):
    """Names above the panel, moved apart where times lie close together, each led to its line."""
    low, high = np.log10(axes.get_xlim())
    events = [(name, t) for name, t in _good_events(run) if low <= np.log10(t) <= high]
    lines = [(np.log10(t) - low) / (high - low) for _, t in events]
    for (name, _), line, place in zip(events, lines, _apart(lines, min(0.04, 1 / max(1, len(events))))):
        axes.plot([line, place], [1, 1.06], transform=axes.transAxes, clip_on=False, color="0.5", linewidth=0.6)
        axes.text(place, 1.075, _event_name(name), transform=axes.transAxes, rotation=50, rotation_mode="anchor",
                  fontsize=7.5, color="0.2", ha="left", va="center")


def _apart(places, least):
    """Sorted places moved as little as one sweep each way moves them, until neighbours are `least` apart, in [0, 1]."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + least)
    for i in range(len(moved) - 1, -1, -1):
        moved[i] = min(moved[i], 1 - least * (len(moved) - 1 - i))
    return moved
