"""Quantities of runs against the file's own observables, known answers and second derivations."""
from fractions import Fraction

import gradflow
import numpy as np
import pytest
from gradflow import quantities


def test_scores_are_the_observable_over_the_root_of_the_width(run_file):
    run = gradflow.open_run(run_file)
    A = quantities.scores(run)
    assert np.array_equal(A, run.observables.B / 4)  # sqrt(16), exact
    assert (quantities.score_changes(run).isel(t=0) == 0).all()


def test_all_words_agree_with_the_tracked_ones(run_file):
    run = gradflow.open_run(run_file)
    learned, G = quantities.learned_scores(run), quantities.values_of_words(run)
    tracked = run.observables.word.values
    # Sums of 16 terms of order 1 in another order.
    np.testing.assert_allclose(learned.sel(key=tracked, query=tracked), quantities.score_changes(run)[-1], atol=1e-13)
    np.testing.assert_allclose(G[tracked], run.observables.G[-1], rtol=1e-12)
    top = quantities.largest(learned, 3)
    assert abs(top.change[0]) == np.abs(learned).max() and (top.change.abs().diff()[1:] <= 0).all()
    assert {top.key[0], top["query"][0]} & set(quantities.busiest_words(learned, 2))


def test_balance_is_undefined_until_the_gradients_are_in_order(run_file):
    run = gradflow.open_run(run_file)
    R = quantities.balance(run)
    for row, (S1, S2, S3, S4) in zip(R.values, run.observables.gradient_sum.values):
        assert row == (S2 + S3 + S4 - S1) / (S1 - S2) if S1 > S2 else np.isnan(row)


@pytest.mark.parametrize("n, length, R, LUt", [(None, 5, "3/2", "17"), (60, 5, "85/67", "2615/318"),
                                               (600, 5, "895/607", "255650/16653")])
def test_limits_of_balance_are_the_known_fractions(n, length, R, LUt):
    assert quantities.limit_of_balance(n, length) == (Fraction(R), Fraction(LUt))


@pytest.mark.parametrize("n, overtaken, classified", [(60, 3.84644, 6.90159), (600, 3.58984, 11.97367)])
def test_limit_answers_are_the_known_ones(n, overtaken, classified):
    answers = quantities.limit_answers(n, 5)
    assert answers.overtaken == pytest.approx(overtaken, abs=6e-6)  # known to five decimals
    assert answers.classified == pytest.approx(classified, abs=6e-6)


def test_limit_answers_are_reached_by_a_very_wide_run(tmp_path):
    m, m1, s1 = 10**8, 64, 0.1
    path = gradflow.run(gradflow.data("theory.toml"), tmp_path / "wide.h5", flow__formulation="coupled", model__width=m,
                        model__start__kind="limit", solver__until=1e7 / (s1**2 * m * m1), solver__rtol=1e-10,
                        solver__atol=1e-16, solver__error_bars=False, **{f"model__start__W_{X}": s1 / m for X in "VKQ"})
    run = gradflow.open_run(path)
    measured, known = quantities.scaled_by_U(run), quantities.limit_answers(60, 5)
    for name in ("overtaken", "classified"):  # the distance falls like 1/m^2; the solver's error is larger
        assert measured[name] == pytest.approx(known[name], rel=1e-8)
    assert measured.balance == pytest.approx(known.balance, rel=1e-3)  # on the way
    # Known to be about -0.34; the powers beside it still tell at these times.
    assert quantities.power_of_approach(run, Fraction(85, 67), 1e5, 1e7) == pytest.approx(-0.34, abs=0.03)


def test_shapes_of_figure_1(tmp_path):
    path = gradflow.run(gradflow.data("paper.toml"), tmp_path / "paper.h5", model__start__kind="linear-default",
                        solver__error_bars=False)
    run = gradflow.open_run(path)
    assert quantities.figure1_shapes(run).all()
    loss = run.observables.loss_class
    loss.loc[{"class": "I1"}] = loss.sel({"class": "I2"}).values
    run.observables.B.loc[{"key": "mu_3", "query": "mu_1"}] *= -1
    shapes = quantities.figure1_shapes(run)
    assert not shapes["I1 loss falls at once"] and not shapes["scores of common for targets fall"]
    assert shapes.drop(["I1 loss falls at once", "scores of common for targets fall"]).all()


def test_phase_numbers(run_file):
    run = gradflow.open_run(run_file)
    numbers = quantities.phase_numbers(run, rate=0.1)
    assert numbers["T1"] == run.T1[0] and numbers["steps of 0.1 to T1"] == pytest.approx(10 * run.T1[0])
    assert numbers["loss at T2"] == run.observables.loss[-1]
