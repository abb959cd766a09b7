"""A second derivation of the gradient flow, sharing nothing with the program: the oracle of the acceptance tests.

The model is written on tokens, as in equation 1 of Yang et al. 2024 (arXiv 2410.09605): a repeated word is a repeated
column of the sample's token matrix, the softmax runs over tokens, and the output sums over query tokens. The gradient
is the backward pass through these matrices. `Model` uses no bags of words, gradient coefficients or any reduction
except `form="reduced"`, where the chain u' = W'^T a = -|a|^2 dL/du replaces W by u = W^T a for speed (the self-tests
compare it with the full weights). `CoupledModel` is the flow of inner products, for starts that have no weights: on
tokens too, with dense matrices over the whole vocabulary (the self-tests compare it with the weights).

Integration: SciPy's DOP853 in s = ln(1 + t). States between steps come from integrating again from the step before,
never from the interpolant, which serves only to find where an event's function changes sign.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are tiny, threads only cost

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.integrate import DOP853, solve_ivp
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

MATRICES = ("W", "W_V", "W_K", "W_Q")
PRODUCTS = ("G", "U", "Gamma", "B", "S_K", "S_Q")
RTOL, ATOL = 1e-12, 1e-14
ROLES = ("target1", "target2", "common", "filler")
MAX_STEPS = 3000  # enough for data that can be fitted; a longer solve would only keep tests waiting
SCAN = 6  # points per step at which the event functions are looked at


@dataclass
class Task:
    """n samples, each a sequence of words 0..d-1, with labels -1 or +1. `targets` and `common` are words, from 0."""

    words: int
    tokens: list
    labels: np.ndarray
    targets: tuple = (0, 1)
    common: object = 2

    def classes(self):
        """[n] position 0..3 of each sample's class in I1 (both targets), I2 (the first), I3 (the second), I4
        (neither)."""
        first, second = self.targets
        return np.array([{(1, 1): 0, (1, 0): 1, (0, 1): 2, (0, 0): 3}[first in x, second in x] for x in self.tokens])


@dataclass
class Start:
    """W [m1, m], W_V, W_K, W_Q [m, d], a [m1] in {-1, +1}."""

    W: np.ndarray
    W_V: np.ndarray
    W_K: np.ndarray
    W_Q: np.ndarray
    a: np.ndarray


@dataclass
class Products:
    """Inner products of the columns of weights, and of u = W^T a: G = W_V^T u [d], U = |u|^2, Gamma = W_V^T W_V, B =
    W_K^T W_Q (key, query), S_K = W_K^T W_K, S_Q = W_Q^T W_Q [d, d]; with the sizes m and m1 = |a|^2."""

    G: np.ndarray
    U: float
    Gamma: np.ndarray
    B: np.ndarray
    S_K: np.ndarray
    S_Q: np.ndarray
    width: int
    hidden: int


def products_of(start):
    """The inner products of weights."""
    u = start.W.T @ start.a
    return Products(u @ start.W_V, u @ u, start.W_V.T @ start.W_V, start.W_K.T @ start.W_Q, start.W_K.T @ start.W_K,
                    start.W_Q.T @ start.W_Q, start.W.shape[1], start.W.shape[0])


class FlowOf:
    """What every formulation shares: the task's samples as tokens, shorter ones padded and masked, and the observables
    of a run's file. A formulation has a flat state, y0 at t = 0, and of any state y its `velocity`, its `look` and its
    `products`."""

    def __init__(self, task, rates):
        self.task, self.rates = task, rates
        self.d, self.n = task.words, len(task.tokens)
        lengths = [len(x) for x in task.tokens]
        real = np.arange(max(lengths)) < np.array(lengths)[:, None]  # [n, L]
        self.tokens = np.zeros(real.shape, int)
        self.tokens[real] = np.concatenate(task.tokens)
        self.real = real[:, None, :].astype(float)  # along query tokens
        self.mask = np.where(real, 0.0, -np.inf)[:, :, None]  # added to the scores of key tokens
        self.X = np.eye(self.d)[self.tokens].transpose(0, 2, 1) * self.real  # [n, d, L], one-hot columns
        self.labels = np.asarray(task.labels, float)

    def softmax(self, scores):
        """Attention [n, key token, query token] of scores of the same shape."""
        P = np.exp(scores + self.mask - (scores + self.mask).max(axis=1, keepdims=True))
        return P / P.sum(axis=1, keepdims=True)

    def products(self, y):
        raise NotImplementedError

    def on(self, task):
        """The same parameters on other samples over the same vocabulary: its functions of a state y are those of the
        same y."""
        raise NotImplementedError

    def roles(self, words):
        """Position in ROLES of each of the words."""
        special = [*self.task.targets, self.task.common]
        return np.vectorize(lambda k: special.index(k) if k in special else 3, otypes=[int])(words)

    def attention(self, y):
        """[class, key role, query role] The attention of a query token on all key tokens of a role, averaged over the
        query tokens of a role in the samples of a class."""
        P, classes, of_word = self.look(y).P, self.task.classes(), self.roles(np.arange(self.d))
        result = np.full((4, 4, 4), np.nan)
        for c in range(4):
            for query in range(4):
                chosen = (classes == c)[:, None] & self.real[:, 0, :].astype(bool) & (of_word[self.tokens] == query)
                if chosen.any():
                    columns = P.transpose(0, 2, 1)[chosen]  # [query token, word]
                    result[c, :, query] = [columns[:, of_word == key].sum(axis=1).mean() for key in range(4)]
        return result

    def slopes(self, y, t):
        """[class] d log L_c / d log t: L_c is the loss of the class's samples alone, whose gradient is multiplied by
        the velocity."""
        classes, velocity, result = self.task.classes(), self.velocity(y), np.full(4, np.nan)
        for c in range(4):
            which = np.flatnonzero(classes == c)
            if which.size:
                part = replace(self.task, tokens=[self.task.tokens[i] for i in which], labels=self.labels[which])
                loss, gradient = self.on(part).loss_and_gradient(y)
                result[c] = t * gradient @ velocity / loss
        return result

    def norms_and_ranks(self, y):
        """Frobenius norms of W, W_V, W_K, W_Q, and their squares over those of the spectral norms."""
        raise NotImplementedError

    def further_observables(self, y, t, test):
        """The observables of a run's file that are not in `observables`, at flow time t, but for the curvature; the
        alignment of all d words. `test`: a Task of other samples."""
        at, products = self.look(y), self.products(y)
        fillers = products.G[sorted({k for x in self.task.tokens for k in x if self.roles(k) == 3})]
        z = self.on(test).look(y).z
        norms, ranks = self.norms_and_ranks(y)
        return {
            "G_filler": np.array([fillers.mean(), fillers.std(), fillers.min(), fillers.max()]),
            "alignment": products.G / np.sqrt(products.U * np.diag(products.Gamma)),
            "power_share": at.speeds / np.sum(at.speeds),
            "norm": norms,
            "loss_test": np.logaddexp(0, -z).mean(),
            "accuracy_test": np.mean(z > 0),
            "attention": self.attention(y),
            "loss_class_slope": self.slopes(y, t),
            "stable_rank": ranks,
        }

    def observables(self, y):
        """Every observable of a run's file at the state y; G, B, Gamma over all d words."""
        at, products = self.look(y), self.products(y)
        losses, g, classes = np.logaddexp(0, -at.z), expit(-at.z), self.task.classes()
        laws, began = at.laws, self.look0.laws
        return {
            "loss": losses.mean(),
            "accuracy": np.mean(at.z > 0),
            "margin_min": at.z.min(),
            "loss_class": np.array([losses[classes == c].mean() if np.any(classes == c) else np.nan for c in range(4)]),
            "gradient_sum": np.array([g[classes == c].sum() for c in range(4)]),
            "G": products.G,
            "B": products.B,
            "Gamma": products.Gamma,
            "U": products.U,
            "attention_shift": at.attention_shift(),
            "power": at.speeds,
            "drift_vw": (laws[0] - laws[1] - (began[0] - began[1])) / max(laws[0], laws[1]),
            "drift_kq": (laws[2] - laws[3] - (began[2] - began[3])) / max(laws[2], laws[3]),
        }


class Model(FlowOf):
    """The loss, its gradient and every observable of one task, at width m, as functions of a flat state.

    The state is (W, W_V, W_K, W_Q) flattened in this order for form="full", (u, W_V, W_K, W_Q) for form="reduced".
    """

    def __init__(self, task, start, form="full", rates=(1, 1, 1, 1)):
        super().__init__(task, rates)
        self.start, self.form = start, form
        self.a, self.M = np.asarray(start.a, float), float(np.sum(np.square(start.a)))
        self.m1, self.m = start.W.shape
        head = (self.m,) if form == "reduced" else (self.m1, self.m)
        self.shapes = [head] + 3 * [(self.m, self.d)]
        self.ends = np.cumsum([int(np.prod(s)) for s in self.shapes])
        self.y0 = np.concatenate([np.ravel(start.W.T @ self.a if form == "reduced" else start.W)]
                                 + [np.ravel(getattr(start, name)) for name in MATRICES[1:]]).astype(float)
        self.look0 = self.look(self.y0)

    def on(self, task):
        return Model(task, self.start, self.form, self.rates)

    def split(self, y):
        return [block.reshape(shape) for block, shape in zip(np.split(y, self.ends[:-1]), self.shapes)]

    def norms_and_ranks(self, y):
        norms, spectral = (np.array([np.linalg.norm(x, kind) for x in self.weights(y)]) for kind in ("fro", 2))
        return norms, np.square(norms / spectral)

    def hessian_spectrum(self, y):
        """Eigenvalues, ascending, of the loss's Hessian in W, W_V, W_K, W_Q (form="full"): columns are central
        differences of the exact gradient, good to about 1e-10 where the parameters are of order 1."""
        assert self.form == "full"
        h, columns = 1e-4, []
        for unit in np.eye(y.size):  # of fourth order in h: what is left of it is 1e-17 times a sixth derivative
            g = {j: self.loss_and_gradient(y + j * h * unit)[1] for j in (-2, -1, 1, 2)}
            columns.append((8 * (g[1] - g[-1]) - (g[2] - g[-2])) / (12 * h))
        H = np.array(columns)
        return np.linalg.eigvalsh((H + H.T) / 2)

    def _forward(self, y):
        """Logits F [n], and what the backward pass needs."""
        head, W_V, W_K, W_Q = self.split(y)
        V, K, Q = (W[:, self.tokens].transpose(1, 0, 2) for W in (W_V, W_K, W_Q))  # [n, m, L]: the products W X
        P = self.softmax(K.transpose(0, 2, 1) @ Q / np.sqrt(self.m))
        H = V @ P * self.real  # [n, m, query token]
        F = (head @ H).sum(axis=1) if self.form == "reduced" else (head @ H).sum(axis=2) @ self.a
        return F, (V, K, Q, P, H)

    def _backward(self, y, F, kept):
        """dL/dy, flat."""
        head, *_ = self.split(y)
        V, K, Q, P, H = kept
        dF = (-self.labels * expit(-self.labels * F) / self.n)[:, None, None] * self.real  # [n, 1, query token]
        if self.form == "reduced":
            d_head = (H * dF).sum(axis=(0, 2))
            dH = head[None, :, None] * dF
        else:
            dO = self.a[None, :, None] * dF
            d_head = np.tensordot(dO, H, axes=((0, 2), (0, 2)))
            dH = head.T @ dO
        dP = V.transpose(0, 2, 1) @ dH
        dS = P * (dP - (P * dP).sum(axis=1, keepdims=True)) / np.sqrt(self.m)
        parts = (dH @ P.transpose(0, 2, 1), Q @ dS.transpose(0, 2, 1), K @ dS)  # with respect to V, K, Q
        columns = [np.tensordot(x, self.X, axes=((0, 2), (0, 2))) for x in parts]  # x X^T, summed over samples
        return np.concatenate([x.ravel() for x in [d_head, *columns]])

    def loss_and_gradient(self, y):
        """The loss and dL/dy, flat."""
        F, kept = self._forward(y)
        return np.logaddexp(0, -self.labels * F).mean(), self._backward(y, F, kept)

    def _velocity(self, gradient):
        f = -gradient
        begin = 0
        for k, end in enumerate(self.ends):
            f[begin:end] *= self.rates[k] * (self.M if k == 0 and self.form == "reduced" else 1)
            begin = end
        return f

    def velocity(self, y):
        """dy/dt [size of y]. Each matrix at its own rate; u at |a|^2 times that of W, because dL/dW = a (dL/du)^T."""
        return self._velocity(self.loss_and_gradient(y)[1])

    def u_of(self, head):
        return head if self.form == "reduced" else head.T @ self.a

    def weights(self, y):
        """W, W_V, W_K, W_Q; in reduced form W follows from the rank-one law W = W(0) + a (u - u(0))^T / |a|^2."""
        head, *rest = self.split(y)
        if self.form == "reduced":
            head = self.start.W + np.outer(self.a, head - self.start.W.T @ self.a) / self.M
        return [head] + rest

    def look(self, y):
        """What events and observables are made of, from one pass at the state y."""
        F, kept = self._forward(y)
        f = self._velocity(self._backward(y, F, kept))
        (head, W_V, W_K, W_Q), (d_head, d_W_V, d_W_K, d_W_Q) = self.split(y), self.split(f)
        u, du = self.u_of(head), self.u_of(d_head)
        speeds = [np.sum(x**2) for x in (d_head, d_W_V, d_W_K, d_W_Q)]
        speeds[0] /= self.M if self.form == "reduced" else 1  # |W'|^2 = |u'|^2 / |a|^2
        return Look(self.task, self.labels * F, self.X @ kept[3] * self.real, u @ W_V, du @ W_V + u @ d_W_V,
                    np.array(speeds), np.array([u @ u, self.M * np.sum(W_V**2), np.sum(W_K**2), np.sum(W_Q**2)]),
                    getattr(self, "look0", None))

    def products(self, y):
        """The inner products of the weights at the state y."""
        return products_of(Start(*self.weights(y), self.a))


class CoupledModel(FlowOf):
    """The flow of the inner products alone, from any `Products`: state (G, U, Gamma, B, S_K, S_Q) flattened in this
    order, all d words in it. With p = sum_i r_i dF_i/dG and D = sum_i r_i dF_i/dA the steepest descent of the weights,
    u' = M W_V p, W_V' = u p^T, W_K' = W_Q D^T / sqrt(m) and W_Q' = W_K D / sqrt(m), gives by the product rule

        G' = U p + M Gamma p,   U' = 2 M p . G,   Gamma' = p G^T + G p^T,   B' = (D S_Q + S_K D) / sqrt(m),
        S_K' = (D B^T + B D^T) / sqrt(m),   S_Q' = (D^T B + B^T D) / sqrt(m),

    each term at the rate of the matrix whose velocity stands in it."""

    def __init__(self, task, start, rates=(1, 1, 1, 1)):
        super().__init__(task, rates)
        self.start = start
        self.m, self.M = float(start.width), float(start.hidden)
        self.shapes = [(self.d,), ()] + 4 * [(self.d, self.d)]
        self.ends = np.cumsum([int(np.prod(s)) for s in self.shapes])
        self.y0 = np.concatenate([np.ravel(getattr(start, name)) for name in PRODUCTS]).astype(float)
        self.look0 = self.look(self.y0)

    def split(self, y):
        return [block.reshape(shape) for block, shape in zip(np.split(y, self.ends[:-1]), self.shapes)]

    def on(self, task):
        return CoupledModel(task, self.start, self.rates)

    def products(self, y):
        return Products(*self.split(y), self.m, self.M)

    def norms_and_ranks(self, y):
        """Of the weights that the inner products belong to; of W there are none."""
        _, _, Gamma, _, S_K, S_Q = self.split(y)
        squares = np.array([np.nan, *(np.trace(x) for x in (Gamma, S_K, S_Q))])
        return np.sqrt(squares), squares / [np.nan, *(np.linalg.eigvalsh(x)[-1] for x in (Gamma, S_K, S_Q))]

    def loss_and_gradient(self, y):
        """The loss and its derivative by each component of y: it depends on G and B alone."""
        F, _, p, D = self._forward(y)
        parts = [-p, 0.0, np.zeros_like(D), -D / np.sqrt(self.m), np.zeros_like(D), np.zeros_like(D)]
        return np.logaddexp(0, -self.labels * F).mean(), np.concatenate([np.ravel(x) for x in parts])

    def _forward(self, y):
        """Logits F [n], attention P, p [d] and D [d, d]."""
        G, _, _, B, _, _ = self.split(y)
        keys, queries = self.tokens[:, :, None], self.tokens[:, None, :]
        P = self.softmax(B[keys, queries] / np.sqrt(self.m))
        values = G[keys]
        h = (P * values).sum(axis=1, keepdims=True)
        F = (h * self.real).sum(axis=(1, 2))
        r = (self.labels * expit(-self.labels * F) / self.n)[:, None, None]
        p, D = np.zeros(self.d), np.zeros((self.d, self.d))
        np.add.at(p, self.tokens, (r * P * self.real).sum(axis=2))
        np.add.at(D, tuple(np.broadcast_arrays(keys, queries)), r * P * (values - h) * self.real)
        return F, P, p, D

    def _velocity(self, y, p, D):
        G, U, Gamma, B, S_K, S_Q = self.split(y)
        W, V, K, Q = self.rates
        blocks = (V * U * p + W * self.M * Gamma @ p, 2 * W * self.M * p @ G, V * (np.outer(p, G) + np.outer(G, p)),
                  (K * D @ S_Q + Q * S_K @ D) / np.sqrt(self.m), K * (D @ B.T + B @ D.T) / np.sqrt(self.m),
                  Q * (D.T @ B + B.T @ D) / np.sqrt(self.m))
        return np.concatenate([np.ravel(x) for x in blocks])

    def velocity(self, y):
        """dy/dt [size of y]."""
        _, _, p, D = self._forward(y)
        return self._velocity(y, p, D)

    def look(self, y):
        """What events and observables are made of, at the state y. Squared speeds are those of the weights above."""
        F, P, p, D = self._forward(y)
        G, U, Gamma, _, S_K, S_Q = self.split(y)
        dG = self.split(self._velocity(y, p, D))[0]
        speeds = [self.M * p @ Gamma @ p, U * p @ p, np.trace(D @ S_Q @ D.T) / self.m, np.trace(D.T @ S_K @ D) / self.m]
        laws = [U, self.M * np.trace(Gamma), np.trace(S_K), np.trace(S_Q)]
        return Look(self.task, self.labels * F, self.X @ P * self.real, G, dG, np.square(self.rates) * speeds,
                    np.array(laws), getattr(self, "look0", None))


@dataclass
class Look:
    """One state seen through the model. z: margins y_i F_i [n]; P: attention of each query token on each word, the
    sum over the word's tokens [n, d, L]; G, dG: u . v_k and its time derivative [d]; speeds: squared speed of W, W_V,
    W_K, W_Q; laws: U, M tr Gamma, tr S_K, tr S_Q; began: the look at t = 0."""

    task: Task
    z: np.ndarray
    P: np.ndarray
    G: np.ndarray
    dG: np.ndarray
    speeds: np.ndarray
    laws: np.ndarray
    began: object

    def attention_shift(self):
        return np.abs(self.P - self.began.P).max() if self.began else 0.0


@dataclass(frozen=True)
class Condition:
    """An event: the condition holds where the call is > 0. `level` is what stands in brackets in its name."""

    name: str
    level: object = None
    needs_common: bool = False

    def __call__(self, at):
        if self.name == "loss_below":
            return self.level - np.logaddexp(0, -at.z).mean()
        if self.name == "classified":
            return at.z.min()
        if self.name == "attention_moves":
            return at.attention_shift() - self.level
        first, second, common = (*at.task.targets, at.task.common)
        if self.name == "aligned":
            return min(at.G[first], at.G[second], -at.G[common]) - self.level
        low, high = sorted((at.dG[first], at.dG[second]))
        scale = abs(at.dG[common]) + max(abs(low), abs(high))
        if self.name == "overtaken":
            return (-at.dG[common] - high) / scale
        C = self.level  # bracket
        return min(-at.dG[common] - (1 + C) * high, (1 - C) * (low + high) + at.dG[common]) / scale


def standard_conditions():
    """The standard events with the levels they have unless the settings say otherwise."""
    return ([Condition("classified"), Condition("overtaken", None, True), Condition("bracket", 0.1, True),
             Condition("aligned", 0.0, True)]
            + [Condition("attention_moves", e) for e in (1e-4, 1e-3, 1e-2)]
            + [Condition("loss_below", e) for e in (1e-1, 1e-2, 1e-4)])


@dataclass
class Crossing:
    t: float
    direction: int  # +1: the condition becomes true
    slope: float  # dg/dt


@dataclass
class History:
    """What became of one condition along a trajectory."""

    condition: Condition
    applicable: bool = True
    true_at_start: bool = False
    true_at_end: bool = False
    crossings: list = field(default_factory=list)
    closest: float = np.inf  # least |g| at a turning point that does not reach zero: how near the count is to changing

    @property
    def for_good(self):
        """The time from which the condition holds until the end; None if it does not."""
        if not self.applicable or not self.true_at_end:
            return None
        return self.crossings[-1].t if self.crossings else 0.0

    @property
    def verdict(self):
        if not self.applicable:
            return "not applicable"
        if not self.crossings:
            return "at start and for good" if self.true_at_start else "never"
        if len(self.crossings) == 1 and self.true_at_end:
            return "crossed once and for good"
        return f"{len(self.crossings)} crossings, {'holds' if self.true_at_end else 'does not hold'} at the end"


class TooLong(RuntimeError):
    """The trajectory takes more than MAX_STEPS steps."""


class Trajectory:
    """The flow from t = 0 to `until`, solved by DOP853 in s = ln(1 + t), with the histories of `conditions`."""

    def __init__(self, model, until, conditions=(), rtol=RTOL, atol=ATOL):
        self.model, self.until, self.rtol, self.atol = model, until, rtol, atol
        self.conditions = list(conditions)
        self.active = [c for c in self.conditions if model.task.common is not None or not c.needs_common]
        solver = DOP853(self._slope, 0.0, model.y0, np.log1p(until), rtol=rtol, atol=atol)
        self.s, self.y = [0.0], [model.y0.copy()]
        scanned = [(0.0, self._look(model.y0))]  # the event functions at SCAN points of every step
        while solver.status == "running":
            if len(self.s) > MAX_STEPS:
                raise TooLong(f"the oracle is at t = {np.expm1(solver.t):.4g} of {until:.4g} after {MAX_STEPS} steps")
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(f"the oracle's solver failed at s = {solver.t}: {message}")
            if self.active:
                between = solver.dense_output()
                for s in np.linspace(solver.t_old, solver.t, SCAN + 1)[1:-1]:
                    scanned.append((s, self._look(between(s))))
                scanned.append((solver.t, self._look(solver.y)))
            self.s.append(solver.t)
            self.y.append(solver.y.copy())
        self.histories = [self._history(c, scanned) for c in self.conditions]

    def _slope(self, s, y):
        return np.exp(s) * self.model.velocity(y)

    def _look(self, y):
        at = self.model.look(y)
        return np.array([c(at) for c in self.active])

    def state_at_s(self, s):
        k = min(max(int(np.searchsorted(self.s, s, side="right")) - 1, 0), len(self.s) - 1)
        if s <= self.s[k]:
            return self.y[k]
        again = solve_ivp(self._slope, (self.s[k], s), self.y[k], method="DOP853", rtol=self.rtol, atol=self.atol,
                          first_step=s - self.s[k])
        if not again.success:
            raise RuntimeError(again.message)
        return again.y[:, -1]

    def state(self, t):
        """The flat state at the flow time t in [0, until]."""
        return self.state_at_s(min(np.log1p(t), self.s[-1]))

    def _value(self, condition, s):
        return condition(self.model.look(self.state_at_s(s)))

    def _crossing(self, condition, left, right, direction):
        s = brentq(lambda s: self._value(condition, s), left, right, xtol=1e-14, rtol=1e-14)
        y = self.state_at_s(s)
        return Crossing(float(np.expm1(s)), direction, self._slope_of(condition, y, s))

    def _slope_of(self, condition, y, s):
        """dg/dt along the flow: the sixth-order central difference of g(y + e y'), whose e is a fiftieth of the
        solver's step, so that truncation and rounding both stay below about 1e-8 of the slope; and of t, so that it
        stays on one branch of a maximum where the first step is long."""
        model, f = self.model, self.model.velocity(y)
        k = min(int(np.searchsorted(self.s, s, side="right")), len(self.s) - 1)
        e = min(np.exp(self.s[k]) - np.exp(self.s[k - 1]), np.expm1(s)) / 50
        g = {j: condition(model.look(y + j * e * f)) for j in (-3, -2, -1, 1, 2, 3)}
        return float((45 * (g[1] - g[-1]) - 9 * (g[2] - g[-2]) + (g[3] - g[-3])) / (60 * e))

    def _history(self, condition, scanned):
        history = History(condition)
        if condition not in self.active:
            history.applicable = False
            return history
        column = self.active.index(condition)
        points = [(s, float(g[column])) for s, g in scanned]
        if points[0][1] == 0:  # an exact zero at the start takes the sign that follows it
            points = points[1:]
        points, history.closest = self._with_extrema(condition, points)
        history.true_at_start, history.true_at_end = points[0][1] > 0, points[-1][1] > 0
        for (left, before), (right, after) in zip(points, points[1:]):
            if (before > 0) != (after > 0):
                history.crossings.append(self._crossing(condition, left, right, 1 if after > 0 else -1))
        return history

    def _with_extrema(self, condition, points):
        """The points, with the bottom of every dip towards zero added where it might reach across; and the closest
        dip that does not."""
        kept, closest = [points[0]], np.inf
        for (a, ga), (b, gb), (c, gc) in zip(points, points[1:], points[2:]):
            kept.append((b, gb))
            side = np.sign(gb)
            dips = abs(gb) <= abs(ga) and abs(gb) <= abs(gc) and side == np.sign(ga) == np.sign(gc)
            if dips and abs(gb) <= 2 * max(abs(ga - gb), abs(gc - gb)):
                low = minimize_scalar(lambda s: side * self._value(condition, s), bounds=(a, c), method="bounded",
                                      options={"xatol": 1e-9})
                if low.fun < 0:
                    kept.append((float(low.x), float(side * low.fun)))
                else:
                    closest = min(closest, float(low.fun))
            elif dips:
                closest = min(closest, abs(gb))
        kept = sorted(kept + points[-1:])
        return kept, closest

    def history(self, name, level=None):
        for h in self.histories:
            if h.condition.name == name and (level is None or h.condition.level == level):
                return h
        raise KeyError((name, level))

    def T1(self):
        """The later of classified and aligned, each for good; None if one is never (or does not apply)."""
        times = [self.history(name).for_good for name in ("classified", "aligned")]
        return None if None in times else max(times)
