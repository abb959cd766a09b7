"""The command against an independent derivation of the flow (tests/reference): random tasks and starts, compared
number by number."""
import json
import sys
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import agreement  # noqa: E402
from cases import Case, limit_case, random_case, random_start, random_task  # noqa: E402


def _paper_like():
    rng = np.random.default_rng(11)
    task = random_task(rng, 12, 12, [5])
    return Case("paper-like", task, random_start(rng, 16, 8, 12), 300.0)


def _ragged_and_shuffled():
    """Words elsewhere than 1, 2, 3; samples of one to seven words, with words repeated; a small Gaussian start; late
    times."""
    rng = np.random.default_rng(12)
    task = random_task(rng, 18, 9, range(1, 8), (6, 1), 4, repeats=True)
    return Case("ragged", task, random_start(rng, 9, 5, 9, "gaussian", (0.1, 0.05, 0.05, 0.05)), 500.0, json_lines=True)


def _no_common_word():
    rng = np.random.default_rng(13)
    task = random_task(rng, 13, 7, range(1, 6), (3, 5), None, repeats=True)
    return Case("no-common", task, random_start(rng, 7, 12, 7, "kaiming-uniform"), 100.0)


def _wide_with_wrong_labels():
    """Wider than twice the vocabulary (m > 2 d), fewer hidden neurons than width, two labels flipped."""
    rng = np.random.default_rng(14)
    task = random_task(rng, 12, 6, [4], (2, 0), 5, repeats=True, flipped=2)
    return Case("wide", task, random_start(rng, 5, 20, 6), 20.0)


def _own_rates():
    rng = np.random.default_rng(15)
    task = random_task(rng, 10, 8, range(3, 6), (0, 1), 2)
    start = random_start(rng, 8, 6, 8, "gaussian", 0.3)
    return Case("rates", task, start, 200.0, rates=(0.5, 2.0, 3.0, 0.25), json_lines=True)


def _frozen_attention():
    rng = np.random.default_rng(16)
    task = random_task(rng, 10, 8, range(3, 6), (0, 1), 2)
    return Case("frozen", task, random_start(rng, 8, 6, 8), 100.0, rates=(1.0, 1.0, 0.0, 0.0))


MADE = (_paper_like, _ragged_and_shuffled, _no_common_word, _wide_with_wrong_labels, _own_rates, _frozen_attention)
CASES = {case.name: case for case in [*(make() for make in MADE), random_case(6), random_case(9), random_case(15)]}
CLEAR = 1e-6  # an event function turning back this near to zero would make the number of crossings a matter of rounding


@lru_cache(maxsize=None)
def oracle(name):
    return agreement.solve(CASES[name])


@pytest.mark.parametrize("formulation", ["full", "reduced"])
@pytest.mark.parametrize("method", ["dopri5", "fehlberg78", "cash-karp54"])
@pytest.mark.parametrize("name", CASES)
def test_run_agrees_with_the_oracle(name, method, formulation, tmp_path):
    run = agreement.run(CASES[name], tmp_path, formulation, method)
    events, _ = agreement.event_differences(oracle(name), run.report)
    values, _ = agreement.value_differences(CASES[name], oracle(name), run.file)
    assert not events + values, "\n".join(events + values)


@pytest.mark.parametrize("name", ["random-9", "random-15"])
def test_a_tighter_solve_comes_nearer(name, tmp_path):
    """What was allowed for flat crossings above is the solver's error: at rtol 1e-13 they are right to 1e-8 without
    it."""
    run = agreement.run(CASES[name], tmp_path, "reduced", "fehlberg78", rtol=1e-13, atol=1e-15)
    differences, _ = agreement.event_differences(oracle(name), run.report, agreement.Bars(1e-8, 0.0, 1e-6))
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("name", ["ragged", "random-9", "random-15"])
def test_error_bars_of_event_times_hold(name, tmp_path):
    """At the default tolerances every crossing lies within its stated error of the oracle's (or within 1e-10 of t: an
    error bar is one difference of two solves and may come out small by chance)."""
    run = agreement.run(CASES[name], tmp_path, "reduced", "dopri5", rtol=1e-8, atol=1e-10)
    checked = 0
    for history in oracle(name).histories:
        event = agreement.reported(run.report)[history.condition.name, history.condition.level]
        for key, direction in (("up", 1), ("down", -1)):
            exact = [x.t for x in history.crossings if x.direction == direction]
            for given, t in zip(event[key], exact, strict=True):
                assert abs(given["t"] - t) <= given["error"] + 1e-10 * t, (event["name"], key, given, t)
                checked += 1
    assert checked > 5


@pytest.mark.parametrize("name", CASES)
def test_cases_are_clear_cut(name):
    """The counts compared above do not hang on a near miss, and every kind of verdict occurs among the cases."""
    assert min(history.closest for history in oracle(name).histories) > CLEAR


def test_cases_show_every_verdict():
    verdicts = {history.verdict.split(",")[0] for name in CASES for history in oracle(name).histories}
    assert {"never", "at start and for good", "crossed once and for good", "2 crossings", "not applicable"} <= verdicts
    overtaken = [oracle(name).history("overtaken") for name in CASES]
    assert any(x.true_at_start and len(x.crossings) > 1 for x in overtaken)
    assert any(not x.true_at_start and len(x.crossings) > 1 for x in overtaken)


@pytest.mark.parametrize("formulation", ["full", "reduced"])
def test_limit_system(formulation, tmp_path):
    """The known answers of the limit system for n = 60, L = 5: uniform attention, W and with it U frozen, W_V from
    zero."""
    run = agreement.run(limit_case(), tmp_path, formulation)
    events = {event["name"]: event for event in run.report["events"]}
    for name, t in (("overtaken", 3.84644), ("classified", 6.90159)):
        assert events[name]["verdict"] == "crossed once and for good"
        assert events[name]["up"][0]["t"] == pytest.approx(t, abs=5.1e-6)  # printed with six digits
        assert events[name]["down"] == []


@pytest.fixture(scope="module")
def ragged_run(tmp_path_factory):
    return agreement.run(CASES["ragged"], tmp_path_factory.mktemp("ragged"))


def test_file_opens_in_xarray(ragged_run):
    case = CASES["ragged"]
    with xr.open_dataset(ragged_run.file, engine="h5netcdf") as data:
        assert data.sizes["t"] == 12 and data.sizes["class"] == 4
        assert data.G.dims == ("t", "word")
        assert data.B.dims == ("t", "key", "query") and data.Gamma.dims == ("t", "word", "word2")
        assert data.power.dims == ("t", "matrix") and data.loss_class.dims == data.gradient_sum.dims == ("t", "class")
        assert data.sizes["word"] == data.sizes["key"] == 3
        assert all("units" in data[name].attrs and "long_name" in data[name].attrs for name in data.data_vars)
        assert float(data.loss.sel(t=case.until, method="nearest")) == float(data.loss[-1])


def test_file_keeps_the_task(ragged_run):
    task = CASES["ragged"].task
    with h5py.File(ragged_run.file, "r") as file:
        bags = [sorted(int(k) for k in row if k >= 0) for row in file["task/tokens"][:]]
        assert bags == [sorted(x) for x in task.tokens]
        assert list(file["task/labels"][:]) == list(task.labels)


def test_a_run_serves_as_a_start(ragged_run, tmp_path):
    """The same experiment started from the run's own file goes the same way, to the bit."""
    case = CASES["ragged"]
    experiment = agreement.write_experiment(case, tmp_path, "reduced", "dopri5")
    experiment.write_text(experiment.read_text().replace('"start.h5"', json.dumps(str(ragged_run.file))))
    agreement.gradflow("simulate", experiment, "-o", tmp_path / "again.h5", "--quiet")
    with h5py.File(ragged_run.file, "r") as first, h5py.File(tmp_path / "again.h5", "r") as second:
        for name in ("t", "loss", "G", "B", "states/W", "states/W_K"):
            assert np.array_equal(first[name][:], second[name][:]), name
