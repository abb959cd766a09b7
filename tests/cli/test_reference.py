"""The command against an independent derivation of the flow (tests/reference): random tasks and starts, compared
number by number."""
import json
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import agreement  # noqa: E402
from cases import Case, Limit, limit_case, random_case, random_start, random_task  # noqa: E402
from oracle import MATRICES, Start, Task  # noqa: E402


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


def _orthogonal():
    rng = np.random.default_rng(17)
    task = random_task(rng, 12, 8, range(2, 6), (5, 0), 3)
    return Case("orthogonal", task, random_start(rng, 7, 18, 8, "orthogonal", (0.2, 0.1, 0.4, 0.3)), 300.0)


def _mostly_unused_words():
    """Nine words of a vocabulary of 60 occur, less than half the width; a word that never occurs is tracked."""
    rng = np.random.default_rng(18)
    small = random_task(rng, 12, 9, range(1, 7), repeats=True)
    words = [int(k) for k in rng.choice(60, 10, replace=False)]
    task = Task(60, [[words[k] for k in x] for x in small.tokens], small.labels, (words[0], words[1]), words[2])
    start = random_start(rng, 6, 25, 60, "gaussian", (0.2, 0.15, 0.3, 0.4))
    return Case("unused-words", task, start, 200.0, also=(words[9],))


def _limit_start():
    """A width of 1e9 at which attention moves all the same, with words that do not occur."""
    task = random_task(np.random.default_rng(17), 24, 40, [4], (3, 8), 5)
    return Case("limit-start", task, Limit(10**9, 30, (2e-5, 1e-5, 1.0, 0.5)), 100.0)


MADE = (_paper_like, _ragged_and_shuffled, _no_common_word, _wide_with_wrong_labels, _own_rates, _frozen_attention,
        _orthogonal, _mostly_unused_words, _limit_start)
CASES = {case.name: case for case in [*(make() for make in MADE), random_case(6), random_case(9), random_case(15)]}
RUNS = [(name, formulation) for name, case in CASES.items() for formulation in ("full", "reduced", "coupled")
        if formulation == "coupled" or not isinstance(case.start, Limit)]
CLEAR = 1e-6  # an event function turning back this near to zero would make the number of crossings a matter of rounding


@lru_cache(maxsize=None)
def oracle(name):
    return agreement.solve(CASES[name])


@pytest.mark.parametrize("method", ["dopri5", "fehlberg78", "cash-karp54"])
@pytest.mark.parametrize("name,formulation", RUNS)
def test_run_agrees_with_the_oracle(name, formulation, method, tmp_path):
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


DRAWN = """seed = 5
[task]
samples = 12
length = 4
words = 9
[model]
width = 24
hidden = 7
start = {{ {start} }}
[flow]
formulation = "{formulation}"
[solver]
rtol = 1e-10
atol = 1e-12
until = 100.0
[save]
records = 12
states = 3
"""
DEVIATIONS = "W = 0.2, W_V = 0.1, W_K = 0.4, W_Q = 0.3"


def run_drawn(folder, formulation, start):
    """A run whose task and start the command draws itself."""
    folder.mkdir()
    (folder / "experiment.toml").write_text(DRAWN.format(formulation=formulation, start=start))
    agreement.gradflow("simulate", folder / "experiment.toml", "-o", folder / "run.h5", "--quiet")
    return agreement.Run(folder / "run.h5", json.loads(agreement.gradflow("phases", folder / "run.h5", "--json")))


@pytest.mark.parametrize("start", ['kind = "kaiming-normal"', 'kind = "gaussian", ' + DEVIATIONS],
                         ids=["kaiming", "gaussian"])
def test_coupled_flow_of_drawn_weights_agrees_with_the_oracle(start, tmp_path):
    """The oracle takes the weights from a reduced run of the same seed."""
    reduced, coupled = (run_drawn(tmp_path / name, name, start) for name in ("reduced", "coupled"))
    with h5py.File(reduced.file, "r") as file:
        weights = Start(*(file[f"start/{name}"][:] for name in (*MATRICES, "a")))
        task = Task(9, [[int(k) for k in x] for x in file["task/tokens"][:]], file["task/labels"][:])
    case = Case("drawn", task, weights, 100.0)
    trajectory = agreement.solve(case)
    for run in (reduced, coupled):
        events, _ = agreement.event_differences(trajectory, run.report)
        values, _ = agreement.value_differences(case, trajectory, run.file)
        assert not events + values, "\n".join(events + values)


@pytest.mark.parametrize("kind", ["limit", "orthogonal"])
def test_coupled_flow_follows_orthogonal_weights(kind, tmp_path):
    """The limit start has the same inner products as orthogonal weights, whatever their seed: the runs agree to the
    accuracy of their solves, the event times too."""
    weights = run_drawn(tmp_path / "weights", "reduced", 'kind = "orthogonal", ' + DEVIATIONS)
    products = run_drawn(tmp_path / "products", "coupled", f'kind = "{kind}", ' + DEVIATIONS)
    with h5py.File(weights.file, "r") as first, h5py.File(products.file, "r") as second:
        assert np.allclose(first["t"][:], second["t"][:], rtol=1e-12, atol=0)  # t0 is the same but for rounding
        for name in ("loss", "loss_class", "gradient_sum", "G", "B", "Gamma", "U", "attention_shift", "power"):
            x, y = first[name][:], second[name][:]
            assert np.abs(x - y).max() <= agreement.VALUES * np.abs(x).max(), name
    crossings = 0
    for x, y in zip(weights.report["events"], products.report["events"], strict=True):
        assert x["name"] == y["name"] and x["true_at_end"] == y["true_at_end"]
        for direction in ("up", "down"):
            # At the start G is zero but for rounding, whose sign lasts until G has moved by as much: the common word's
            # 1e-16 until t = 1e-8, because it moves as t^2.
            first, second = ([p for p in event[direction] if p["t"] > 1e-6] for event in (x, y))
            for p, q in zip(first, second, strict=True):
                assert abs(p["t"] - q["t"]) <= agreement.TIMES * (p["t"] + 1 / abs(p["slope"])), x["name"]
                crossings += 1
    assert crossings > 5


@pytest.mark.parametrize("formulation", ["full", "reduced", "coupled"])
def test_limit_system(formulation, tmp_path):
    """The known answers of the limit system for n = 60, L = 5: uniform attention, W and with it U frozen, W_V from
    zero."""
    run = agreement.run(limit_case(), tmp_path, formulation)
    events = {event["name"]: event for event in run.report["events"]}
    for name, t in (("overtaken", 3.84644), ("classified", 6.90159)):
        assert events[name]["verdict"] == "crossed once and for good"
        assert events[name]["up"][0]["t"] == pytest.approx(t, abs=5.1e-6)  # printed with six digits
        assert events[name]["down"] == []


def run_from(run, case, folder, formulation, more=""):
    """The file of a run of the case that starts from the file of another run."""
    experiment = agreement.write_experiment(case, folder, formulation, "dopri5")
    start = json.dumps(str(run.file)) + "\n" + more
    experiment.write_text(experiment.read_text().replace('"start.h5"', start))
    agreement.gradflow("simulate", experiment, "-o", folder / "again.h5", "--quiet")
    return folder / "again.h5"


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


@pytest.fixture(scope="module")
def coupled_run(tmp_path_factory):
    return agreement.run(CASES["unused-words"], tmp_path_factory.mktemp("coupled"), "coupled")


def test_coupled_states_open_in_xarray(coupled_run):
    words = CASES["unused-words"].coupled_words()
    over_words = {"G": ("word",), "U": (), "Gamma": ("word", "word2"), "B": ("key", "query"),
                  "S_K": ("word", "word2"), "S_Q": ("word", "word2")}
    for group, t in (("start", ()), ("states", ("t",))):
        with xr.open_dataset(coupled_run.file, engine="h5netcdf", group=group) as data:
            assert data.sizes["word"] == len(words)
            for name, dims in over_words.items():
                assert data[name].dims == t + dims, name
            assert not {*MATRICES} & {*data.variables}
    with xr.open_dataset(coupled_run.file, engine="h5netcdf", group="start") as data:
        assert data.word_index.dims == ("word",) and np.issubdtype(data.word_index.dtype, np.integer)
        assert list(data.word_index) == words


@pytest.mark.parametrize("name,formulation", [("ragged", "reduced"), ("unused-words", "coupled")])
def test_a_run_serves_as_a_start(name, formulation, tmp_path):
    """The same experiment started from the run's own file goes the same way, to the bit."""
    first = agreement.run(CASES[name], tmp_path, formulation)
    again = run_from(first, CASES[name], tmp_path, formulation)
    with h5py.File(first.file, "r") as first, h5py.File(again, "r") as second:
        states = ("W", "W_K") if formulation == "reduced" else ("G", "U", "B", "S_K")
        for name in ("t", "loss", "G", "B", "drift_vw", "drift_kq", *(f"states/{state}" for state in states)):
            assert np.array_equal(first[name][:], second[name][:]), name


def test_a_snapshot_of_a_coupled_run_serves_as_a_start(coupled_run, tmp_path):
    """What is left of the way from a snapshot leads to the same end."""
    case = CASES["unused-words"]
    with h5py.File(coupled_run.file, "r") as whole:
        rest = replace(case, until=case.until - whole["states/t"][1])
        again = run_from(coupled_run, rest, tmp_path, "coupled", "snapshot = 1")
        with h5py.File(again, "r") as second:
            for name in ("loss", "loss_class", "G", "B", "Gamma", "U", "power", "states/S_K", "states/S_Q"):
                x, y = whole[name][-1], second[name][-1]
                assert np.abs(x - y).max() <= agreement.VALUES * np.abs(x).max(), name
