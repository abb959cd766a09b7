"""Runs the command on a case and compares its file and its report with the oracle."""
import json
import os
import re
import subprocess
from dataclasses import dataclass

import h5py
import numpy as np

from cases import Limit, write_experiment
from oracle import MATRICES, PRODUCTS, CoupledModel, Model, Trajectory, standard_conditions

# What a solve at rtol 1e-10 leaves after a few hundred steps is of the order of 1e-9 of each quantity's size; the
# same bound holds for event functions, and moves a crossing by as much over its slope.
VALUES = 1e-8
TIMES = 1e-8
# A derivative along the flow; where a crossing is flat, its slope changes within the uncertainty of its time.
SLOPES = 1e-4


@dataclass(frozen=True)
class Bars:
    """Largest disagreement allowed: of a crossing's time, relative to t; of an event function where it crosses (its
    size is 1, a level of the loss its own size, and the attention, which has hardly moved, is a hundred times better
    than 1); of a slope."""

    times: float = TIMES
    functions: float = VALUES
    slopes: float = SLOPES

    def of_time(self, condition, crossing):
        size = {"loss_below": condition.level, "attention_moves": 0.01}.get(condition.name, 1.0)
        return self.times * crossing.t + self.functions * size / abs(crossing.slope)


def solve(case):
    """The oracle's trajectory of a case: of weights in reduced form (the self-tests compare it with the full weights),
    of inner products where there are no weights."""
    if isinstance(case.start, Limit):
        model = CoupledModel(case.task, case.start.products(case.task.words), case.rates)
    else:
        model = Model(case.task, case.start, "reduced", case.rates)
    return Trajectory(model, case.until, standard_conditions())


def gradflow(*arguments, folder=None):
    """Runs the command that GRADFLOW_COMMAND names; returns its standard output. Anything but exit code 0 raises."""
    command = os.environ.get("GRADFLOW_COMMAND")
    if not command:
        raise RuntimeError("GRADFLOW_COMMAND must name the built `gradflow` command; these tests are never skipped")
    done = subprocess.run([command, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        called = " ".join(map(str, arguments))
        raise RuntimeError(f"gradflow {called} gave exit code {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


@dataclass
class Run:
    file: object  # path of the HDF5 file
    report: dict  # `gradflow phases --json`


def run(case, folder, formulation="reduced", method="dopri5", **settings):
    experiment = write_experiment(case, folder, formulation, method, **settings)
    file = folder / "run.h5"
    gradflow("simulate", experiment, "-o", file, "--quiet")
    return Run(file, json.loads(gradflow("phases", file, "--json")))


def same_verdict(text, expected):
    """Verdicts in the words of the oracle, whatever their case and the plural of a single crossing."""
    return re.sub(r"\b1 crossing\b", "1 crossings", text.strip().lower()) == expected


def reported(report):
    """The report's events under (name, level); an `aligned` without a level has the default level 0."""
    events = {}
    for event in report["events"]:
        name, level = re.fullmatch(r"([^(]+?)(?:\((.*)\))?", event["name"]).groups()
        events[name, float(level) if level else 0.0 if name == "aligned" else None] = event
    return events


def event_differences(trajectory, report, bars=Bars()):
    """Every disagreement between the report's standard events and the oracle's, as sentences; and the worst relative
    time error."""
    found, worst = [], 0.0
    events = reported(report)
    for history in trajectory.histories:
        condition = history.condition
        event = events.get((condition.name, condition.level))
        label = condition.name if condition.level is None else f"{condition.name}({condition.level:g})"
        if event is None:
            found.append(f"{label} is not in the report, which has {list(events)}")
            continue
        if event["applicable"] != history.applicable:
            found.append(f"{label}: applicable {event['applicable']}, oracle {history.applicable}")
        if not same_verdict(event["verdict"], history.verdict):
            found.append(f"{label}: verdict {event['verdict']!r}, oracle {history.verdict!r}")
        if not history.applicable:
            continue
        for key in ("true_at_start", "true_at_end"):
            if event[key] != getattr(history, key):
                found.append(f"{label}: {key} {event[key]}, oracle {getattr(history, key)}")
        for key, direction in (("up", 1), ("down", -1)):
            expected = [x for x in history.crossings if x.direction == direction]
            if len(event[key]) != len(expected):
                found.append(f"{label}: {key} at {[x['t'] for x in event[key]]}, oracle {[x.t for x in expected]}")
                continue
            for x, y in zip(event[key], expected):
                error, bar = abs(x["t"] - y.t), bars.of_time(condition, y)
                worst = max(worst, error / y.t)
                if not error <= bar:
                    found.append(f"{label}: {key} at {x['t']!r}, oracle {y.t!r}, {error / bar:.1f} bars apart")
                if not abs(x["slope"] - y.slope) <= bars.slopes * abs(y.slope):
                    found.append(f"{label}: slope {x['slope']!r} at t = {y.t:.6g}, oracle {y.slope!r}")
    T1, T1_given = trajectory.T1(), report["T1"]
    if (T1_given is None) != (T1 is None) or (T1 is not None and not abs(T1_given - T1) <= 1e-7 * T1):
        found.append(f"T1 is {T1_given}, oracle {T1}")
    return found, worst


def _apart(name, given, expected, scale):
    given, expected = np.asarray(given, float), np.asarray(expected, float)
    if given.shape != expected.shape:
        return np.inf, [f"{name} has shape {given.shape}, oracle {expected.shape}"]
    if not np.array_equal(np.isnan(given), np.isnan(expected)):
        return np.inf, [f"{name} is {given}, oracle {expected}"]
    error = np.nanmax(np.abs(given - expected), initial=0) / scale
    return error, [] if error <= VALUES else [f"{name}: {error:.1e} of its scale {scale:.2e} apart"]


def _state(case, model, y, coupled):
    """The arrays that a run's file has of the state y: weights, or inner products among the words of a coupled run."""
    if not coupled:
        return dict(zip(MATRICES, model.weights(y)))
    words, products = case.coupled_words(), model.products(y)
    arrays = {name: np.asarray(getattr(products, name)) for name in PRODUCTS}
    return {name: x[np.ix_(*x.ndim * [words])] for name, x in arrays.items()}


def _state_differences(case, trajectory, run):
    """Every disagreement of the start and of the snapshots; and the worst error over its scale."""
    found, worst = [], 0.0
    coupled = "G" in run["states"]
    times = run["states/t"][:]
    snapshots = [(f"states/{{}} at t = {time:.6g}", time, run["states"], k) for k, time in enumerate(times)]
    if coupled:
        snapshots.append(("start/{}", 0.0, run["start"], ()))
        words = run["start/word_index"][:]
        if list(words) != case.coupled_words() or list(run["states/word"][:]) != list(run["start/word"][:]):
            given = f"start/word_index is {words}, states/word {run['states/word'][:]}"
            return [f"{given}; oracle {case.coupled_words()}"], np.inf
    else:
        for name in (*MATRICES, "a"):
            if not np.array_equal(run["start"][name][:], getattr(case.start, name)):
                found.append(f"start/{name} is not the start that was given")
    for label, time, group, index in snapshots:
        for name, value in _state(case, trajectory.model, trajectory.state(time), coupled).items():
            error, messages = _apart(label.format(name), group[name][index], value, max(1e-12, np.abs(value).max()))
            worst = max(worst, error)
            found += messages
    return found, worst


def value_differences(case, trajectory, file):
    """Every disagreement of the observables (all records), of the start and of the saved states; and the worst error
    over its scale."""
    found, worst = [], 0.0
    model, tracked = trajectory.model, case.tracked()
    pairs = np.ix_(tracked, tracked)
    with h5py.File(file, "r") as run:
        t = run["t"][:]
        if not (t[0] == 0 and abs(t[-1] - case.until) <= 1e-15 * case.until and np.all(np.diff(t) > 0)):
            found.append(f"records at {t}")
        for k, time in enumerate(t):
            expected = model.observables(trajectory.state(time))
            expected["G"] = expected["G"][tracked]
            for name in ("B", "Gamma"):
                expected[name] = expected[name][pairs]
            if min(case.rates) != 1 or max(case.rates) != 1:  # no such law then
                del expected["drift_vw"], expected["drift_kq"]
            for name, value in expected.items():
                # Each over its largest entry at this time. A drift and the attention are shares of 1 already; margins
                # pass through zero, and the loss feels them against 1.
                least = 1.0 if name in ("attention_shift", "drift_vw", "drift_kq", "accuracy", "margin_min") else 1e-12
                scale = max(np.nanmax(np.abs(value)), least)
                error, messages = _apart(f"{name} at t = {time:.6g}", run[name][k], value, scale)
                worst = max(worst, error)
                found += messages
        states, error = _state_differences(case, trajectory, run)
    return found + states, max(worst, error)
