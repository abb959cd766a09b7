#!/usr/bin/env python3
"""Calculates on its own what `gradflow phases` says of the paper's claims: tests/reference/claims.py RUN.h5 [...].

From the file come the task, the start, the rates and the last record; the flow is the oracle's (written on tokens),
solved by DOP853 at rtol 1e-12 and seen between its steps through that solver's dense output. Extremes and roots are
sought on the states themselves, so nothing is shared with the program but the definitions. As a script it prints the
largest disagreement of each run, and every one beyond 1e-6.
"""
import json
import os
import subprocess
import sys
import tomllib
from functools import cached_property, lru_cache
from pathlib import Path

import h5py
import numpy as np
from scipy.integrate import DOP853
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

sys.path.insert(0, str(Path(__file__).resolve().parent))
from oracle import MATRICES, PRODUCTS, CoupledModel, Model, Products, Start, Task  # noqa: E402

RTOL, ATOL = 1e-12, 1e-15
SCAN = 8  # points of a step at which functions are looked at
SHARES = (1 / 2, 1 / 6, 1 / 6, 1 / 6)
CONSTANTS = {"small": 0.1, "start": 0.2, "same_order": 10, "C": 0.1, "c": 0}


def _text(file, name):
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else value


class State:
    """One state of the flow, and what is seen in it, calculated once."""

    def __init__(self, model, y):
        self.model, self.y = model, y

    @cached_property
    def look(self):
        return self.model.look(self.y)

    @cached_property
    def products(self):
        return self.model.products(self.y)

    @cached_property
    def S(self):
        g, classes = expit(-self.look.z), self.model.task.classes()
        return np.array([g[classes == c].sum() for c in range(4)])

    @cached_property
    def loss(self):
        return np.logaddexp(0, -self.look.z).mean()


class Watched:
    """A run's flow, solved again: its scalars at any s = ln(1 + t/t0), and the ends of its phases."""

    def __init__(self, path):
        with h5py.File(path, "r") as file:
            settings = tomllib.loads(_text(file, "settings"))
            tokens = [[int(k) for k in row if k >= 0] for row in file["task/tokens"][:]]
            task = file["task"].attrs
            self.task = Task(int(task["words"]), tokens, file["task/labels"][:], (int(task["target1"]),
                             int(task["target2"])), int(task["common"]))
            fresh = file["task"]
            self.fresh = None if "test_tokens" not in fresh else Task(
                self.task.words, [[int(k) for k in row if k >= 0] for row in fresh["test_tokens"][:]],
                fresh["test_labels"][:], self.task.targets, self.task.common)
            self.t_end, self.t0 = float(file["t"][-1]), float(file.attrs["t0"]) or 1.0
            T2 = float(file.attrs["T2"])
            self.T2 = min(self.t_end if np.isnan(T2) else T2, self.t_end)
            self.rate = float(file.attrs["T1_theory_rate"])
            rates = settings.get("flow", {}).get("rates", {})
            self.rates = tuple(float(rates.get(name, 1)) for name in MATRICES)
            start = file["start"]
            if "W" in start:
                weights = Start(*(start[name][:] for name in (*MATRICES, "a")))
                self.m1, self.m = weights.W.shape
                self.model = Model(self.task, weights, "reduced", self.rates)
            else:
                self.m, self.m1 = int(start.attrs["width"]), int(start.attrs["hidden"])
                self.model = CoupledModel(self.task, self._products(start), self.rates)
        self.used = sorted({k for x in tokens for k in x})
        self.special = [*self.task.targets, self.task.common]
        self._solve()
        self.start = self.state(0)
        self.state = lru_cache(maxsize=200_000)(self.state)

    def _products(self, start):
        """Words that the run does not hold stand in no sample: zeros serve as well as anything."""
        words, d = start["word_index"][:], self.task.words
        arrays = []
        for name in PRODUCTS:
            held = np.asarray(start[name][()])
            full = np.zeros(held.ndim * (d,))
            full[np.ix_(*held.ndim * [words])] = held
            arrays.append(full)
        return Products(*arrays, self.m, self.m1)

    def s_of(self, t):
        return np.log1p(t / self.t0)

    def t_of(self, s):
        return self.t0 * np.expm1(s)

    def _solve(self):
        def slope(s, y):
            return self.t0 * np.exp(s) * self.model.velocity(y)

        self.s, self.pieces = [0.0], []
        if self.t_end == 0:
            return
        solver = DOP853(slope, 0.0, self.model.y0, self.s_of(self.t_end), rtol=RTOL, atol=ATOL, first_step=1e-4)
        while solver.status == "running":
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(message)
            self.s.append(solver.t)
            self.pieces.append(solver.dense_output())

    def state(self, s):
        if s <= 0:
            return State(self.model, self.model.y0)
        k = min(max(int(np.searchsorted(self.s, s)) - 1, 0), len(self.pieces) - 1)
        return State(self.model, self.pieces[k](min(s, self.s[-1])))

    def scan(self, a, b):
        inside = [s for left, right in zip(self.s, self.s[1:]) for s in np.linspace(left, right, SCAN + 1)[:-1]
                  if a < s < b]
        return [a, *inside, b]

    # Scalars of a state

    def dG(self, at):
        return at.look.dG[self.special]

    def G(self, at):
        return at.products.G[self.special]

    def slope(self, at):
        """d(1/L)/dt: the loss falls by the squared speed of each matrix over its rate."""
        return sum(speed / rate for speed, rate in zip(at.look.speeds, self.rates) if rate > 0) / at.loss**2

    def grams(self, at):
        """U, Gamma, B, S_K, S_Q among words 1, 2, 3."""
        p, i = at.products, np.ix_(self.special, self.special)
        return {"U": np.array([p.U]), "Gamma": p.Gamma[i], "B": p.B[i], "S_K": p.S_K[i], "S_Q": p.S_Q[i]}

    def gram_rates(self, at):
        """Gamma' and B' among words 1, 2, 3, by the product rule on the state's velocity."""
        parts, rates = self.model.split(at.y), self.model.split(self.model.velocity(at.y))
        i = np.ix_(self.special, self.special)
        if isinstance(self.model, CoupledModel):
            return rates[2][i], rates[3][i]
        (_, V, K, Q), (_, dV, dK, dQ) = parts, rates
        return (dV.T @ V + V.T @ dV)[i], (dK.T @ Q + K.T @ dQ)[i]

    # Functions of s

    def extreme(self, f, a, b, sign):
        """The least (sign +1) or greatest (-1) value of f(state) on [a, b]; NaN where f is somewhere undefined."""
        points = self.scan(a, b)
        values = np.array([sign * f(self.state(s)) for s in points])
        if np.isnan(values).any():
            return np.nan
        best, self.extreme_at = values.min(), self.t_of(points[int(values.argmin())])
        for k in range(1, len(points) - 1):
            if values[k] <= values[k - 1] and values[k] <= values[k + 1] and values[k] < best + 0.2 * abs(best):
                low = minimize_scalar(lambda s: sign * f(self.state(s)), bounds=(points[k - 1], points[k + 1]),
                                      method="bounded", options={"xatol": 1e-10})
                if low.fun < best:
                    best, self.extreme_at = low.fun, self.t_of(low.x)
        return sign * best

    def least(self, f, a, b):
        return self.extreme(f, self.s_of(a), self.s_of(b), +1)

    def largest(self, f, a, b):
        return self.extreme(f, self.s_of(a), self.s_of(b), -1)

    def failures(self, f, a, b):
        """Intervals (flow times) of [a, b] on which f(state) > 0 does not hold."""
        def value(s):
            v = f(self.state(s))
            return -1.0 if np.isnan(v) else v

        left, right = self.s_of(a), self.s_of(b)
        points = self.scan(left, right)
        values = [value(s) for s in points]
        for k in range(1, len(points) - 1):
            side = 1 if values[k] > 0 else -1
            if side * values[k] <= side * values[k - 1] and side * values[k] <= side * values[k + 1]:
                dip = minimize_scalar(lambda s: side * value(s), bounds=(points[k - 1], points[k + 1]),
                                      method="bounded", options={"xatol": 1e-10})
                if dip.fun < 0:
                    points.append(float(dip.x))
                    values.append(side * float(dip.fun))
        order = np.argsort(points)
        points, values = [points[k] for k in order], [values[k] for k in order]
        found, begin = [], left if not values[0] > 0 else None
        for k in range(1, len(points)):
            if (values[k] > 0) == (values[k - 1] > 0):
                continue
            root = brentq(value, points[k - 1], points[k], xtol=1e-14, rtol=1e-14)
            if values[k] > 0:
                found.append((begin, root))
                begin = None
            else:
                begin = root
        if begin is not None:
            found.append((begin, right))
        time = {left: a, right: b}
        return [(time.get(x, self.t_of(x)), time.get(y, self.t_of(y))) for x, y in found if y - x > 1e-6]

    def for_good(self, f):
        """Since when f(state) > 0 holds until the end; None where it does not."""
        failures = self.failures(f, 0, self.t_end)
        if not failures:
            return 0.0
        return None if failures[-1][1] == self.t_end else failures[-1][1]

    def T1(self):
        classified = self.for_good(lambda at: at.look.z.min())
        aligned = self.for_good(lambda at: min(self.G(at) * (1, 1, -1)))
        return classified, aligned, None if None in (classified, aligned) else max(classified, aligned)


class Claims:
    """All claims about one run: {name: {"measured", "verdict", "from", "fails_on", "values"}}."""

    def __init__(self, path, **constants):
        self.run = Watched(path)
        self.k = {**CONSTANTS, **constants}
        self.found = {}
        self.conditions()
        self.initial()
        self.end()
        self.classified, self.aligned, self.T1 = self.run.T1()
        if self.T1 is not None:
            self.phase1()
            if self.T1 < self.run.T2:
                self.theorem32()
                self.balancing()

    def say(self, name, measured, holds, **values):
        self.found[name] = {"measured": measured, "verdict": "holds" if holds else "fails", "from": None,
                            "at": None, "fails_on": [], "values": values}

    def over(self, name, measured, f, a, b, **values):
        failures = self.run.failures(f, a, b)
        self.say(name, measured, not failures, **values)
        self.found[name] |= {"fails_on": failures, "at": [a, b]}
        if failures and failures[-1][1] != b:
            self.found[name] |= {"verdict": "holds from t on", "from": failures[-1][1]}
        return failures

    def conditions(self):
        run, task = self.run, self.run.task
        lengths = [len(x) for x in task.tokens]
        self.say("unit-rates", max(run.rates, key=lambda rate: abs(rate - 1)), all(rate == 1 for rate in run.rates))
        self.say("condition-1-hidden", run.m / run.m1, run.m >= run.m1)
        self.say("condition-1-length", run.m / max(lengths) ** 2, run.m >= max(lengths) ** 2)
        p = run.start.products
        s1 = np.sqrt(p.U / (run.m * run.m1))
        self.say("condition-1-s1", s1, s1 <= self.k["start"])
        s0 = {name: np.sqrt(np.mean(np.diag(x)[run.used]) / run.m)
              for name, x in (("W_V", p.Gamma), ("W_K", p.S_K), ("W_Q", p.S_Q))}
        self.say("condition-1-s0", max(s0.values()), max(s0.values()) <= self.k["start"], **s0)
        share = np.bincount(task.classes(), minlength=4) / len(lengths)
        off = np.abs(share - SHARES).max()
        self.say("assumption-2.3-i", off, off < 1e-12, **{f"I{c + 1}": x for c, x in enumerate(share)})
        places = sum(lengths) - sum(len(set(x) & set(run.special)) for x in task.tokens)
        words = len(set(run.used) - set(run.special))
        self.say("assumption-2.3-ii", places - words, places == words,
                 **{"filler places": places, "filler words": words})

    def initial(self):
        run = self.run
        rates = run.start.look.dG
        one, two, three = rates[run.special]
        fillers = np.abs(rates[[k for k in run.used if k not in run.special]]).max(initial=0)
        U = run.start.products.U
        targets = min(one, two)
        self.say("lemma-4.1", targets, targets > 0,
                 **{"G'(1)": one, "G'(2)": two, "-G'(3)": -three, "largest |G'| of a filler": fillers, "U(0)": U,
                    "measured / U(0)": targets / U})
        others = max(abs(three), fillers)
        self.say("lemma-4.2", others / targets if targets > 0 else None, targets > 0 and others < targets,
                 **{"common word": abs(three) / targets, "fillers": fillers / targets})

    def end(self):
        run = self.run
        y = run.state(run.s_of(run.T2))
        self.say("theorem-3.3-train", y.loss, y.loss <= self.k["small"])
        if run.fresh:
            z = run.model.on(run.fresh).look(y.y).z
            loss = np.logaddexp(0, -z).mean()
            self.say("theorem-3.3-test", loss, loss <= self.k["small"], accuracy=np.mean(z > 0))
        C = y.products.B - run.start.products.B
        one, two, three = run.special
        leading = {"C12": C[one, two], "C21": C[two, one], "-C31": -C[three, one], "-C32": -C[three, two]}
        for name, value in leading.items():
            self.say(f"theorem-3.3-{name}", value, value > 0)
        low, high = min(leading.values()), max(leading.values())
        self.say("theorem-3.3-order", high / low if low > 0 else None, low > 0 and high / low <= self.k["same_order"])
        random = np.abs(C)
        random[np.ix_(run.special, run.special)] = 0
        largest = random[np.ix_(run.used, run.used)].max()
        bound = 1 / len(run.task.tokens) + max(map(len, run.task.tokens)) / np.sqrt(run.m)
        self.say("theorem-3.3-random", largest / low if low > 0 else None, low > 0 and largest / low <= bound,
                 **{"largest |C_ij|": largest})

    def phase1(self):
        run, T1, k = self.run, self.T1, self.k
        y0, y1 = run.start, run.state(run.s_of(self.T1))
        self.say("theorem-3.1-1", T1 * run.rate, True,
                 **{"T1": T1, "classified since": self.classified, "aligned since": self.aligned,
                    "margin_min at T1": y1.look.z.min()})
        G = run.G(y1)
        self.over("theorem-3.1-2", min(G * (1, 1, -1)), lambda y: min(run.G(y) * (1, 1, -1)) - k["c"], T1,
                  max(T1, run.T2), **{f"G({i + 1}) at T1": G[i] for i in range(3)})
        start = run.grams(y0)
        scales = {name: np.diag(x).max() if x.ndim == 2 else x[0] for name, x in start.items()}
        scales["B"] = np.sqrt(scales["S_K"] * scales["S_Q"])
        for name, scale in scales.items():
            def change(y, name=name):
                return np.abs(run.grams(y)[name] - start[name]).max()

            if scale > 0:
                largest, at = run.largest(change, 0, T1), run.extreme_at
                self.over(f"theorem-3.1-3-{name}", largest / scale, lambda y: k["small"] - change(y) / scale, 0, T1,
                          **{"largest change": largest, "scale": scale, "measured at": at, "at T1": change(y1) / scale})
        shift, at = run.largest(lambda y: y.look.attention_shift(), 0, T1), run.extreme_at
        speeds = y1.look.speeds
        self.say("theorem-3.1-4", shift, shift <= k["small"],
                 **{"measured at": at, "power share of W_K and W_Q at T1": speeds[2:].sum() / speeds.sum()})

        def overtaken(y):
            one, two, three = run.dG(y)
            return -three - max(one, two)

        failures = self.over("lemma-4.3-overtaken", None, overtaken, 0, T1)
        self.found["lemma-4.3-overtaken"]["measured"] = self.since(failures, T1)
        failures = self.over("lemma-4.3", None, self.bracket, 0, T1)
        since = self.since(failures, T1)
        self.found["lemma-4.3"] |= {"measured": since, "values": {
            "C that holds at T1": self.bracket_constant(y1),
            "largest C over [T_0.5, T1]": None if since is None else run.least(self.bracket_constant, since, T1)}}

    @staticmethod
    def since(failures, end):
        return 0.0 if not failures else None if failures[-1][1] == end else failures[-1][1]

    def bracket(self, y):
        one, two, three = self.run.dG(y)
        C = self.k["C"]
        return min(-three - (1 + C) * max(one, two), (1 - C) * (one + two) + three)

    def bracket_constant(self, y):
        one, two, three = self.run.dG(y)
        if max(one, two) <= 0 or one + two <= 0:
            return np.nan
        return min(-three / max(one, two) - 1, 1 + three / (one + two))

    def theorem32(self):
        run, T1, T2 = self.run, self.T1, self.run.T2
        y1, y2 = (run.state(run.s_of(t)) for t in (T1, T2))
        rows = [(1, "B", 3, 2, 1, +1), (1, "B", 3, 1, 2, +1), (1, "B", 3, 3, 1, -1), (1, "B", 3, 3, 2, -1),
                (2, "Gamma", 2, 1, 2, +1), (2, "Gamma", 2, 1, 1, +1), (2, "Gamma", 2, 2, 2, +1),
                (3, "Gamma", 2, 1, 3, -1), (3, "Gamma", 2, 2, 3, -1)]
        for item, name, _, i, j, sign in rows:
            def rate(y, name=name, at=(i - 1, j - 1)):
                return run.gram_rates(y)[name == "B"][at]

            self.over(f"theorem-3.2-{item}-{name}{i}{j}",
                      run.grams(y2)[name][i - 1, j - 1] - run.grams(y1)[name][i - 1, j - 1],
                      lambda y: sign * rate(y), T1, T2,
                      **{"rate at T1": rate(y1), "rate at T2": rate(y2),
                         "least rate in its direction": run.least(lambda y: sign * rate(y), T1, T2)})
        for name, weights in (("G1", (1, 0, 0)), ("G2", (0, 1, 0)), ("-G3", (0, 0, -1)), ("G123", (1, 1, 1)),
                              ("-G13", (-1, 0, -1)), ("-G23", (0, -1, -1))):
            def value(y, weights=np.array(weights)):
                return weights @ run.G(y)

            smallest, at = run.least(value, T1, T2), run.extreme_at
            self.over(f"theorem-3.2-4-{name}", smallest, lambda y: value(y) - 1 / self.k["same_order"], T1, T2,
                      **{"measured at": at, "largest": run.largest(value, T1, T2), "at T1": value(y1),
                         "at T2": value(y2)})

    def balancing(self):
        run, T1, T2, k = self.run, self.T1, self.run.T2, self.k
        y0, y1, y2 = run.start, run.state(run.s_of(T1)), run.state(run.s_of(T2))
        largest_C, at = run.least(self.bracket_constant, T1, T2), run.extreme_at
        self.over("lemma-4.3-phase-2", largest_C, self.bracket, T1, T2,
                  **{"measured at": None if np.isnan(largest_C) else at,
                     "C that holds at T1": self.bracket_constant(y1), "C that holds at T2": self.bracket_constant(y2)})

        def imbalance(y):
            S = y.S
            return abs(S[1] - S[2]) / min(S[1], S[2])

        largest, at = run.largest(imbalance, T1, T2), run.extreme_at
        self.over("lemma-4.4-S2-S3", largest, lambda y: k["small"] - imbalance(y), T1, T2,
                  **{"measured at": at, "at T1": imbalance(y1), "at T2": imbalance(y2)})
        for name, weights in (("S234-S1", (-1, 1, 1, 1)), ("S1-S2", (1, -1, 0, 0)), ("S1-S3", (1, 0, -1, 0))):
            def inverse(y, weights=np.array(weights)):
                S = y.S
                return weights @ S / S.sum()

            low, at = run.least(inverse, T1, T2), run.extreme_at
            self.over(f"lemma-4.4-{name}", 1 / low if low > 0 else None, lambda y: inverse(y) - 1 / k["same_order"],
                      T1, T2, **{"measured at": at, "at T2": 1 / inverse(y2), "least inverse": low})

        def R(y):
            S = y.S
            return (S[1] + S[2] + S[3] - S[0]) / (S[0] - S[1]) if S[0] > S[1] else np.nan

        for name, top in (("lemma-4.5-R", 3), ("lemma-4.5-root", 2)):
            self.over(name, R(y2), lambda y: min(R(y) - 1, top - R(y)), T1, T2)
        self.found["lemma-4.5-R"]["values"] = {"least": run.least(R, T1, T2), "largest": run.largest(R, T1, T2),
                                               "at T1": R(y1)}

        def spread(y, classes=3):
            S = y.S[:classes]
            return S.max() / S.min()

        largest, at = run.largest(spread, T1, T2), run.extreme_at
        self.over("corollary-4.6", largest, lambda y: k["same_order"] - spread(y), T1, T2,
                  **{"measured at": at, "at T2": spread(y2), "with I4": run.largest(lambda y: spread(y, 4), T1, T2),
                     "with I4, at T2": spread(y2, 4)})
        U0 = y0.products.U
        for name, value in (("lemma-4.7", lambda y: run.slope(y) / y.products.U),
                            ("theorem-F.8", lambda y: run.slope(y) / U0)):
            end = value(y2)
            values = {"least": run.least(value, T1, T2), "largest": run.largest(value, T1, T2), "at T1": value(y1),
                      "at T2": end}
            self.over(name, values["least"] if name == "theorem-F.8" else end,
                      lambda y: min(value(y) / end - 1 / k["same_order"], k["same_order"] - value(y) / end), T1, T2,
                      **values)
        U2 = y2.products.U
        self.found["lemma-4.7"]["values"]["L U t at T2"] = y2.loss * U2 * T2


def _apart(given, expected, floor):
    """Relative difference; both undefined agree."""
    undefined = [x is None or not np.isfinite(x) for x in (given, expected)]
    if any(undefined):
        return 0.0 if all(undefined) else np.inf
    return abs(given - expected) / max(abs(expected), floor)


def _floor(name, own):
    """What small values of a claim are held against, where they are differences of larger ones."""
    if name.startswith(("theorem-3.1-2", "theorem-3.2-4", "lemma-4.3-phase", "lemma-4.2")):
        return 1.0
    if name == "lemma-4.1":
        return abs(own["values"]["G'(1)"])
    if name.startswith(("theorem-3.1-3", "theorem-3.2")):  # of frozen matrices only rounding moves
        return 1e-8
    return 1e-12


def differences(report, expected, bar=1e-6):
    """Every disagreement beyond the bar between the report's claims and these, as sentences; and the largest."""
    given, found, worst = {claim["name"]: claim for claim in report["claims"]}, [], 0.0

    def compare(label, x, y, floor=1e-12):
        nonlocal worst
        apart = _apart(x, y, floor)
        worst = max(worst, apart)
        if not apart <= bar:
            found.append(f"{label}: {x!r}, here {y!r}")

    for name, own in expected.items():
        claim, floor = given[name], _floor(name, own)
        if claim["verdict"] != own["verdict"]:
            found.append(f"{name}: {claim['verdict']}, here {own['verdict']}")
        compare(name, claim["measured"], own["measured"], floor)
        compare(f"{name}: from", claim["from"], own["from"])
        if len(claim["fails_on"]) != len(own["fails_on"]):
            found.append(f"{name}: fails on {claim['fails_on']}, here {own['fails_on']}")
        for x, y in zip([claim["at"], *claim["fails_on"]] if own["at"] else claim["fails_on"],
                        [own["at"], *own["fails_on"]] if own["at"] else own["fails_on"]):
            compare(f"{name}: from", x[0], y[0])
            compare(f"{name}: to", x[1], y[1])
        for key, value in own["values"].items():
            if key == "measured at":  # an extreme is flat: its time is known to the root of its value's accuracy
                if value is not None and not abs(claim["values"][key] - value) <= 1e-4 * value:
                    found.append(f"{name}: measured at {claim['values'][key]!r}, here {value!r}")
                continue
            compare(f"{name}: {key}", claim["values"][key], value, 1.0 if "margin" in key else floor)
    return found, worst


def main():
    disagreements = 0
    for path in sys.argv[1:]:
        report = json.loads(subprocess.run([os.environ.get("GRADFLOW_COMMAND", "gradflow"), "phases", path, "--json"],
                                           check=True, capture_output=True, text=True).stdout)
        found, worst = differences(report, Claims(path).found)
        print(f"{path}: largest disagreement {worst:.1e}", *found, sep="\n  ")
        disagreements += len(found)
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
