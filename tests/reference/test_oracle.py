"""The oracle tested against itself, against equation 1 written out naively, and against exact solutions."""
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expi

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import Case, Limit, limit_case, random_case, random_start, random_task  # noqa: E402
from oracle import (MATRICES, PRODUCTS, Condition, CoupledModel, Model, Start, Task, Trajectory,  # noqa: E402
                    products_of, standard_conditions)


def ragged_case(seed=1, until=40.0):
    rng = np.random.default_rng(seed)
    task = random_task(rng, 9, 7, range(1, 7), (4, 1), 6, repeats=True, flipped=1)
    return Case("ragged", task, random_start(rng, 6, 4, 7, "kaiming-normal"), until)


def naive_loss(task, W, W_V, W_K, W_Q, a):
    """Equation 1 sample by sample with one-hot token matrices; every operation also holds for complex weights."""
    total = 0
    for words, label in zip(task.tokens, task.labels):
        X = np.eye(task.words)[:, words]
        F = 0
        for q in range(len(words)):
            scores = np.exp(X.T @ W_K.T @ W_Q @ X[:, q] / np.sqrt(W.shape[1]))
            F = F + a @ W @ W_V @ X @ (scores / scores.sum())
        total = total + np.log(1 + np.exp(-label * F))
    return total / len(task.labels)


def test_gradient_against_complex_steps():
    case = ragged_case()
    model = Model(case.task, case.start)
    loss, gradient = model.loss_and_gradient(model.y0)
    h = 1e-30  # a complex step has no cancellation, so any tiny h gives the derivative to rounding
    expected = np.empty_like(gradient)
    for k in range(len(gradient)):
        y = model.y0.astype(complex)
        y[k] += 1j * h
        expected[k] = naive_loss(case.task, *model.split(y), model.a).imag / h
    assert loss == pytest.approx(naive_loss(case.task, *model.split(model.y0), model.a), rel=1e-14)
    # Rounding of sums of about a hundred terms of order 1.
    assert np.abs(gradient - expected).max() < 1e-14 * max(1, np.abs(expected).max())


def assert_same_trajectory(first, second, times):
    """Equal observables, verdicts and crossings."""
    for t in times:
        x, y = first.model.observables(first.state(t)), second.model.observables(second.state(t))
        for name in x:
            assert np.allclose(x[name], y[name], rtol=1e-9, atol=1e-10, equal_nan=True), (name, t)
    crossings = 0
    for x, y in zip(first.histories, second.histories):
        assert x.verdict == y.verdict and x.true_at_start == y.true_at_start
        for p, q in zip(x.crossings, y.crossings, strict=True):
            crossings += 1
            assert p.direction == q.direction
            assert p.t == pytest.approx(q.t, rel=1e-10) and p.slope == pytest.approx(q.slope, rel=1e-6)
    assert crossings >= 6


def test_full_and_reduced_trajectories_agree():
    case = random_case(2)
    full, reduced = (
        Trajectory(Model(case.task, case.start, form), 50.0, standard_conditions()) for form in ("full", "reduced")
    )
    for t in (0.0, 0.3, 50.0):
        for name, x, y in zip(MATRICES, full.model.weights(full.state(t)), reduced.model.weights(reduced.state(t))):
            assert np.abs(x - y).max() < 1e-10, (name, t)  # a hundred times the local tolerance, weights of order 1
    assert_same_trajectory(full, reduced, (0.0, 0.3, 50.0))


@pytest.mark.parametrize("rates", [(1, 1, 1, 1), (0.5, 2.0, 3.0, 0.25)])
def test_reduced_and_coupled_trajectories_agree(rates):
    case = ragged_case()
    reduced = Trajectory(Model(case.task, case.start, "reduced", rates), 20.0, standard_conditions())
    coupled = Trajectory(CoupledModel(case.task, products_of(case.start), rates), 20.0, standard_conditions())
    assert_same_trajectory(reduced, coupled, (0.0, 0.3, 20.0))
    x, y = (trajectory.model.products(trajectory.state(20.0)) for trajectory in (reduced, coupled))
    for name in PRODUCTS:
        assert np.allclose(getattr(x, name), getattr(y, name), rtol=1e-9, atol=1e-10), name


def test_limit_start_has_the_inner_products_of_an_orthogonal_one():
    deviations = (0.2, 0.1, 0.4, 0.3)
    orthogonal = products_of(random_start(np.random.default_rng(4), 7, 18, 6, "orthogonal", deviations))
    limit = Limit(18, 7, deviations).products(6)
    for name in (*PRODUCTS, "width", "hidden"):
        # Rounding of inner products of columns of length up to 3.
        assert np.allclose(getattr(orthogonal, name), getattr(limit, name), rtol=1e-14, atol=1e-14), name


def test_event_times_do_not_depend_on_the_tolerance():
    case = random_case(2)
    model = Model(case.task, case.start, "reduced")
    loose, tight = (Trajectory(model, 5.0, standard_conditions(), rtol, rtol / 100) for rtol in (1e-12, 3e-14))
    for x, y in zip(loose.histories, tight.histories):
        for p, q in zip(x.crossings, y.crossings, strict=True):
            assert p.t == pytest.approx(q.t, rel=1e-10), x.condition


@pytest.mark.parametrize("form", ["full", "reduced"])
def test_conservation_laws(form):
    case = ragged_case(until=200.0)
    model = Model(case.task, case.start, form)
    trajectory = Trajectory(model, case.until)

    def laws(y):
        W, W_V, W_K, W_Q = model.weights(y)
        u = W.T @ model.a
        return np.outer(u, u) - model.M * W_V @ W_V.T, W_K @ W_K.T - W_Q @ W_Q.T

    for t in (3.0, 200.0):
        for x, y in zip(laws(model.y0), laws(trajectory.state(t))):
            assert np.abs(x - y).max() < 1e-10 * max(1, np.abs(x).max())
    W, *_ = model.weights(trajectory.state(200.0))
    du = (W - case.start.W).T @ model.a
    assert np.abs(W - case.start.W - np.outer(model.a, du) / model.M).max() < 1e-12
    assert np.abs(du).max() > 0.1  # it did move


@pytest.mark.parametrize("form", ["full", "reduced"])
def test_loss_falls_at_the_power(form):
    case = ragged_case()
    model = Model(case.task, case.start, form)
    trajectory = Trajectory(model, case.until)
    for t in (0.5, 5.0, 30.0):
        e = 0.01 * t  # sixth-order difference of the loss over re-integrated states: truncation (e/t)^6 ~ 1e-12
        L = {j: model.loss_and_gradient(trajectory.state(t + j * e))[0] for j in (-3, -2, -1, 1, 2, 3)}
        slope = (45 * (L[1] - L[-1]) - 9 * (L[2] - L[-2]) + L[3] - L[-3]) / (60 * e)
        assert slope == pytest.approx(-model.observables(trajectory.state(t))["power"].sum(), rel=1e-8)


def test_rates_scale_each_matrix():
    case = ragged_case()
    rates = (0.5, 2.0, 0.0, 3.0)
    for form in ("full", "reduced"):
        plain, rated = (Model(case.task, case.start, form, r) for r in ((1, 1, 1, 1), rates))
        for rate, x, y in zip(rates, plain.split(plain.velocity(plain.y0)), rated.split(rated.velocity(rated.y0))):
            assert np.array_equal(rate * x, y)


def test_one_sample_of_one_word_has_an_exact_solution():
    """From a balanced start u = sqrt(M) v the flow stays on it: G' = 2 sqrt(M) G / (1 + e^G), so t = [ln G + Ei(G)] /
    (2 sqrt(M)) between two values of G, and the loss is log(1 + e^-G)."""
    m1, m = 5, 3
    a = np.array([1.0, -1, 1, 1, -1])
    v = np.array([0.3, -0.2, 0.5])
    start = Start(np.outer(a, np.sqrt(m1) * v) / m1, v[:, None], np.ones((m, 1)), np.ones((m, 1)), a)
    task = Task(1, [[0]], np.array([1]), (0, 0), None)

    def primitive(G):
        return (np.log(G) + expi(G)) / (2 * np.sqrt(m1))

    levels = (0.1, 1e-3, 1e-6)
    for form in ("full", "reduced"):
        trajectory = Trajectory(Model(task, start, form), 1e6, [Condition("loss_below", e) for e in levels])
        for e, history in zip(levels, trajectory.histories):
            exact = primitive(-np.log(np.expm1(e))) - primitive(np.sqrt(m1) * v @ v)
            assert history.verdict == "crossed once and for good"
            assert history.crossings[0].t == pytest.approx(exact, rel=1e-10)


def test_limit_system():
    """The known answers of the limit system for n = 60, L = 5, as printed with six digits."""
    case = limit_case()
    trajectory = Trajectory(Model(case.task, case.start, "reduced", case.rates), case.until, standard_conditions())
    for name, t in (("overtaken", 3.84644), ("classified", 6.90159)):
        assert trajectory.history(name).verdict == "crossed once and for good"
        assert trajectory.history(name).crossings[0].t == pytest.approx(t, abs=5.1e-6)


def test_a_dip_between_two_points_is_found():
    """Two crossings closer together than the points of the scan."""
    case = random_case(2)
    trajectory = Trajectory(Model(case.task, case.start, "reduced"), 0.3)
    k = len(trajectory.s) // 2
    middle = trajectory.s[k] + 0.37 * (trajectory.s[k + 1] - trajectory.s[k])

    class Dip:
        name, needs_common = "dip", False

    trajectory.active = [Dip]
    trajectory._value = lambda condition, s: (s - middle) ** 2 - 1e-12
    trajectory._slope_of = lambda condition, y, s: 0.0
    grid = np.unique(np.concatenate([np.linspace(l, r, 11) for l, r in zip(trajectory.s, trajectory.s[1:])]))
    history = trajectory._history(Dip, [(s, [trajectory._value(Dip, s)]) for s in grid])
    assert [x.direction for x in history.crossings] == [-1, 1]
    assert np.log1p([x.t for x in history.crossings]) == pytest.approx([middle - 1e-6, middle + 1e-6], abs=1e-12)


def test_random_tasks_are_what_they_say():
    rng = np.random.default_rng(3)
    task = random_task(rng, 12, 9, range(1, 8), (5, 2), 7, repeats=True)
    assert list(task.classes()) == [0, 1, 0, 2, 0, 3] * 2
    assert all((7 in x) and (label == (1 if {5, 2} <= set(x) else -1)) for x, label in zip(task.tokens, task.labels))
    assert any(len(set(x)) < len(x) for x in task.tokens) and len({len(x) for x in task.tokens}) > 2
