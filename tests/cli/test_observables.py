"""Test loss and the further observables of the command's runs against the independent derivation of tests/reference."""
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import agreement  # noqa: E402
from cases import Case, Limit, random_start, random_task, write_experiment  # noqa: E402
from oracle import MATRICES, ROLES, Model, Start, Task, Trajectory  # noqa: E402

REQUESTED = ["attention", "loss_class_slope", "stable_rank"]


def _paper_like():
    """Words that are never trained on among the test samples, which are longer than the others."""
    rng = np.random.default_rng(21)
    task = random_task(rng, 12, 16, [5])
    test = random_task(rng, 18, 16, [4, 6])
    return Case("paper-like", task, random_start(rng, 9, 8, 16), 300.0), test


def _compressed_with_rates():
    """Wide enough to run in coordinates; repeated words; every matrix at a rate of its own."""
    rng = np.random.default_rng(22)
    task = random_task(rng, 10, 12, range(2, 6), (4, 1), 7, repeats=True)
    test = random_task(rng, 7, 12, range(1, 8), (4, 1), 7, repeats=True, flipped=1)
    start = random_start(rng, 6, 40, 12, "gaussian", (0.2, 0.15, 0.3, 0.4))
    return Case("compressed", task, start, 100.0, rates=(0.5, 2.0, 3.0, 0.25), also=(3,)), test


def _no_common_word():
    rng = np.random.default_rng(23)
    task = random_task(rng, 9, 8, range(1, 5), (3, 5), None, repeats=True)
    return Case("no-common", task, random_start(rng, 7, 5, 8), 50.0), random_task(rng, 6, 8, [3], (3, 5), None)


def _limit_start():
    rng = np.random.default_rng(24)
    task = random_task(rng, 12, 20, [4])
    return Case("limit", task, Limit(10**9, 30, (2e-5, 1e-5, 1.0, 0.5)), 100.0), random_task(rng, 9, 20, [4])


CASES = {case.name: (case, test) for case, test in
         (make() for make in (_paper_like, _compressed_with_rates, _no_common_word, _limit_start))}
RUNS = [(name, formulation) for name, (case, _) in CASES.items() for formulation in ("full", "reduced", "coupled")
        if formulation == "coupled" or not isinstance(case.start, Limit)]


@lru_cache(maxsize=None)
def oracle(name):
    return agreement.solve(CASES[name][0])


def experiment_with(case, test, folder, formulation, observables, **settings):
    """The case's experiment, with test samples in its task file, and with requested observables."""
    path = write_experiment(case, folder, formulation, "dopri5", **settings)
    with h5py.File(folder / "task.h5", "r+") as file:
        length = max(map(len, test.tokens))
        file["test_tokens"] = [x + [-1] * (length - len(x)) for x in test.tokens]
        file["test_labels"] = np.asarray(test.labels, int)
    path.write_text(path.read_text() + f"observables = {json.dumps(observables)}\n")
    return path


@pytest.mark.parametrize("name,formulation", RUNS)
def test_further_observables_agree_with_the_oracle(name, formulation, tmp_path):
    case, test = CASES[name]
    experiment = experiment_with(case, test, tmp_path, formulation, REQUESTED)
    agreement.gradflow("simulate", experiment, "-o", tmp_path / "run.h5", "--quiet")
    trajectory = oracle(name)
    wrong, all_words_held = [], formulation != "coupled"
    with h5py.File(tmp_path / "run.h5", "r") as run:
        if not all_words_held:
            all_words_held = len(run["start/word_index"]) == case.task.words
        for k, t in enumerate(run["t"][:]):
            expected = trajectory.model.further_observables(trajectory.state(t), t, test)
            expected["alignment"] = expected["alignment"][case.tracked()]
            if formulation == "coupled":
                expected["norm"][0] = expected["stable_rank"][0] = np.nan
            if not all_words_held:
                expected["stable_rank"][:] = np.nan
            for row, value in expected.items():
                # Shares, cosines, slopes and ranks are of order 1, others of the size of their largest entry. A loss and
                # its slope hang on margins of order 10, a deviation on the fillers' values.
                scale = max(1.0, np.nanmax(np.abs(value), initial=0))
                _, messages = agreement._apart(f"{row} at t = {t:.6g}", run[row][k], value, 10 * scale)
                wrong += messages
    assert not wrong, "\n".join(wrong)


def test_snapshots_hold_every_samples_margin(tmp_path):
    case, test = CASES["compressed"]
    agreement.gradflow("simulate", experiment_with(case, test, tmp_path, "reduced", []), "-o", tmp_path / "run.h5",
                       "--quiet")
    trajectory = oracle("compressed")
    with h5py.File(tmp_path / "run.h5", "r") as run:
        for k, t in enumerate(run["states/t"][:]):
            z = trajectory.model.look(trajectory.state(t)).z
            assert np.allclose(run["states/margin"][k], z, rtol=1e-8, atol=1e-8)
            assert np.allclose(run["states/sample_loss"][k], np.logaddexp(0, -z), rtol=1e-7, atol=1e-8)


@pytest.fixture(scope="module")
def sharp_run(tmp_path_factory):
    """A run with everything that can be asked for, and an event on the sharpness."""
    folder = tmp_path_factory.mktemp("sharp")
    case, test = CASES["no-common"]
    everything = [*REQUESTED, "sharpness", "curvature_min"]
    experiment = experiment_with(case, test, folder, "reduced", everything)
    agreement.gradflow("simulate", experiment, "-o", folder / "scout.h5", "--quiet")
    with h5py.File(folder / "scout.h5", "r") as run:
        sharpness = run["sharpness"][:]
    level = 0.5 * (sharpness.min() + sharpness.max())
    event = f'[[event]]\nname = "edge"\nquantity = "sharpness"\ncrosses = {level!r}\n'
    experiment.write_text(experiment.read_text() + event)
    agreement.gradflow("simulate", experiment, "-o", folder / "run.h5", "--quiet")
    return folder / "run.h5", level


def spectrum(trajectory, t):
    """Of the dense Hessian in all parameters at flow time t."""
    model, y = trajectory.model, trajectory.state(t)
    full = Model(model.task, Start(*model.weights(y), model.a), "full")
    return full.hessian_spectrum(full.y0)


def test_sharpness_is_that_of_the_dense_hessian(sharp_run):
    with h5py.File(sharp_run[0], "r") as run:
        for k in range(0, len(run["t"]), 3):
            eigenvalues = spectrum(oracle("no-common"), run["t"][k])
            scale = np.abs(eigenvalues).max()
            assert abs(run["sharpness"][k] - eigenvalues[-1]) <= 1e-8 * scale
            assert abs(run["curvature_min"][k] - eigenvalues[0]) <= 1e-8 * scale


def test_sharpness_crosses_where_the_dense_hessian_says(sharp_run):
    run, level = sharp_run
    trajectory = oracle("no-common")
    event = agreement.reported(json.loads(agreement.gradflow("phases", run, "--json")))["edge", None]
    crossings = sorted((x["t"], x) for key in ("up", "down") for x in event[key])
    assert crossings
    for t, crossing in crossings:
        low, high = t * (1 - 1e-3), t * (1 + 1e-3)
        exact = brentq(lambda s: spectrum(trajectory, s)[-1] - level, low, high, xtol=1e-13, rtol=1e-11)
        assert abs(t - exact) <= agreement.TIMES * t + 1e-8 * level / abs(crossing["slope"])
        assert crossing["certain"]


def test_file_names_its_dimensions(sharp_run):
    with xr.open_dataset(sharp_run[0], engine="h5netcdf") as data:
        assert data.attention.dims == ("t", "class", "key_role", "query_role")
        assert list(data.key_role.values) == list(data.query_role.values) == list(ROLES)
        assert data.G_filler.dims == ("t", "statistic")
        assert list(data.statistic.values) == ["mean", "deviation", "min", "max"]
        assert data.norm.dims == data.power_share.dims == data.stable_rank.dims == ("t", "matrix")
        assert data.alignment.dims == ("t", "word") and data.loss_class_slope.dims == ("t", "class")
        assert data.sharpness.dims == data.curvature_min.dims == data.loss_test.dims == data.accuracy_test.dims == ("t",)
        assert all(len(set(x.dims)) == len(x.dims) for x in data.variables.values())
        assert all("units" in x.attrs and "long_name" in x.attrs for x in data.data_vars.values())
        shares = data.attention.sum("key_role").where(data.attention.notnull().any("key_role"))
        assert np.allclose(shares.values[~np.isnan(shares.values)], 1, atol=1e-14)
    with xr.open_dataset(sharp_run[0], engine="h5netcdf", group="states") as data:
        assert data.margin.dims == data.sample_loss.dims == ("t", "sample")
    with xr.open_dataset(sharp_run[0], engine="h5netcdf", group="task") as data:
        assert data.test_tokens.dims == ("test_sample", "test_position") and data.test_labels.dims == ("test_sample",)


def test_certify_reads_the_test_samples_back(sharp_run):
    report = json.loads(agreement.gradflow("certify", sharp_run[0], "--json"))
    errors = {x["name"]: x for x in report["observables"]}
    assert {"loss_test", "accuracy_test", "attention", "sharpness", "curvature_min", "norm"} <= {*errors}
    # At rtol 1e-10 all of them are as good as the state; a test sample in another place would be wrong altogether.
    assert errors["loss_test"]["relative"] < 1e-7 and errors["sharpness"]["relative"] < 1e-7


def test_certify_takes_a_run_of_a_version_that_had_fewer_rows(tmp_path):
    case, test = CASES["no-common"]
    experiment = experiment_with(replace(case, until=5.0), test, tmp_path, "reduced", [])
    agreement.gradflow("simulate", experiment, "-o", tmp_path / "run.h5", "--quiet")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        for name in ("norm", "G_filler", "states/margin", "states/sample_loss"):
            del file[name]
    report = json.loads(agreement.gradflow("certify", tmp_path / "run.h5", "--json"))
    errors = {x["name"]: x for x in report["observables"]}
    assert "norm" not in errors and errors["power_share"]["relative"] < 1e-7


DRAWN = """seed = 5
[task]
samples = 12
length = 5
words = 40
test_samples = 50
[model]
width = 24
hidden = 7
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


def test_drawn_test_samples_follow_the_distribution_in_every_formulation(tmp_path):
    """The oracle takes task, test samples and weights from the reduced run; the flows of weights agree with it, and so
    does the coupled flow, which has to hold the words that only the test samples have."""
    files = {}
    for formulation in ("full", "reduced", "coupled"):
        files[formulation] = tmp_path / f"{formulation}.h5"
        (tmp_path / "experiment.toml").write_text(DRAWN.format(formulation=formulation))
        agreement.gradflow("simulate", tmp_path / "experiment.toml", "-o", files[formulation], "--quiet")
    with h5py.File(files["reduced"], "r") as file:
        start = Start(*(file[f"start/{name}"][:] for name in (*MATRICES, "a")))
        task = Task(40, [[int(k) for k in x] for x in file["task/tokens"][:]], file["task/labels"][:])
        test = Task(40, [[int(k) for k in x] for x in file["task/test_tokens"][:]], file["task/test_labels"][:])
    assert [np.sum(test.classes() == c) for c in range(4)] == [25, 9, 8, 8]
    assert {k for x in test.tokens for k in x} - {k for x in task.tokens for k in x}
    trajectory = agreement.solve(Case("drawn", task, start, 100.0))
    for formulation, path in files.items():
        with h5py.File(path, "r") as file:
            assert np.array_equal(file["task/test_tokens"][:], test.tokens)
            for k, t in enumerate(file["t"][:]):
                z = trajectory.model.on(test).look(trajectory.state(t)).z
                assert file["loss_test"][k] == pytest.approx(np.logaddexp(0, -z).mean(), rel=1e-7), formulation
                assert file["accuracy_test"][k] == np.mean(z > 0), formulation


def test_a_text_is_tested_on_what_was_held_back(tmp_path):
    words = ["red", "blue", "sky", "sea", "sun", "tree", "leaf", "bird"]
    rng = np.random.default_rng(6)
    lines = [" ".join(rng.choice(words, 4, replace=False)) for _ in range(40)]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "experiment.toml").write_text(
        'seed = 3\n[task]\nkind = "text"\npath = "text.txt"\ntargets = ["red", "blue"]\nunit = "line"\n'
        "test_share = 0.2\n[model]\nwidth = 6\nhidden = 5\n[solver]\nuntil = 10.0\n[save]\nrecords = 5\nstates = 2\n")
    agreement.gradflow("simulate", tmp_path / "experiment.toml", "-o", tmp_path / "run.h5", "--quiet")
    with h5py.File(tmp_path / "run.h5", "r") as file:
        names = [x.decode() for x in file["task/word"][:]]
        both = {}
        for prefix in ("", "test_"):
            samples = [[int(k) for k in x if k >= 0] for x in file[f"task/{prefix}tokens"][:]]
            labels = file[f"task/{prefix}labels"][:]
            both[prefix] = Task(len(names), samples, labels, (0, 1), None)
            spelled = [" ".join(names[k] for k in x) for x in samples]
            assert list(labels) == [1 if "red" in x and "blue" in x else -1 for x in spelled]
            both[prefix + "lines"] = spelled
        assert sorted(both["lines"] + both["test_lines"]) == sorted(lines) and len(both["test_lines"]) == 8
        start = Start(*(file[f"start/{name}"][:] for name in (*MATRICES, "a")))
        trajectory = Trajectory(Model(both[""], start, "reduced"), 10.0)
        z = trajectory.model.on(both["test_"]).look(trajectory.state(10.0)).z
        assert file["loss_test"][-1] == pytest.approx(np.logaddexp(0, -z).mean(), rel=1e-6)


def test_descents_have_the_same_observables(tmp_path):
    """Of rules that run on the flow's coordinates and of those that need the full width."""
    (tmp_path / "experiment.toml").write_text(
        DRAWN.format(formulation="reduced").replace("width = 24", "width = 60").replace("until = 100.0", "until = 1.0")
        + 'observables = ["attention", "sharpness"]\n'
        + '[[event]]\nname = "edge"\nquantity = "sharpness"\ncrosses = 2.0\n'
        + '[descent]\nmethods = ["gd", "adam"]\nrates = [0.05]\n')
    agreement.gradflow("compare", tmp_path / "experiment.toml", "-o", tmp_path / "both.h5", "--quiet")
    with h5py.File(tmp_path / "both.h5", "r") as file:
        flow = file["flow"]
        for run in (file["descents/0"], file["descents/1"]):
            for name in ("loss_test", "accuracy_test", "attention", "norm", "G_filler"):
                assert run[name].shape[1:] == flow[name].shape[1:]
                assert np.allclose(run[name][0], flow[name][0], rtol=1e-12, equal_nan=True), name
            assert run["sharpness"][0] == pytest.approx(flow["sharpness"][0], rel=1e-9)
            assert np.all(np.isfinite(run["sharpness"][:])) and run["states/margin"].shape[1] == 12
        # Small steps stay near the flow, in what the weights are and in what they say of other samples.
        assert np.allclose(file["descents/0/norm"][-1], flow["norm"][-1], rtol=1e-2)
        assert file["descents/0/loss_test"][-1] == pytest.approx(flow["loss_test"][-1], rel=0.1)


def test_wrong_requests_are_told_before_any_work(tmp_path):
    case, test = CASES["no-common"]
    experiment = experiment_with(replace(case, until=1.0), test, tmp_path, "coupled", ["sharpnes"])
    run = ["simulate", str(experiment), "-o", str(tmp_path / "run.h5")]

    def refused(*more):
        done = subprocess.run([os.environ["GRADFLOW_COMMAND"], *run, *more], capture_output=True, text=True)
        assert done.returncode == 2 and not (tmp_path / "run.h5").exists()
        return done.stderr

    assert 'The nearest is "sharpness".' in refused()
    assert 'has "sharpness", which needs weights' in refused("--set", 'save.observables=["sharpness"]')
