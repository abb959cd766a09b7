"""The reader against xarray's own reading and the command's documents; on files killed, being written, cut and foreign."""
import itertools
import json
import random
import shutil
import subprocess
import sys
import time

import gradflow
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr


def test_a_finished_run_is_what_xarray_reads(run_file):
    run = gradflow.open_run(run_file)
    assert (run.finished, run.outcome, run.observables.sizes["t"]) == (True, "reached_end", 60)
    for group, ours in ((None, run.observables), ("steps", run.steps), ("states", run.states), ("start", run.start),
                        ("task", run.task)):
        xr.testing.assert_identical(xr.open_dataset(run_file, group=group, engine="h5netcdf").load(), ours)


def test_reads_while_xarray_has_the_file_open(run_file):
    # HDF5 refuses to open a file for reading beside its writer where the program has it open in another way.
    with xr.open_dataset(run_file, engine="h5netcdf") as plain:
        run = gradflow.open_run(run_file)
        assert np.array_equal(plain.loss, run.observables.loss)


@pytest.mark.parametrize("settings", [{"seed": 1}, {"seed": 2}, {"model__start__kind": "linear-default", "seed": 3},
                                      {"seed": 1, "solver__until": 1e-4}])
def test_events_and_T1_are_those_that_the_command_tells(folder, tmp_path, settings):
    path = gradflow.run(folder / "small.toml", tmp_path / "run.h5", **settings)
    told, run = gradflow.phases(path), gradflow.open_run(path)
    assert list(run.events.index) == [event["name"] for event in told["events"]]
    for event in told["events"]:
        row = run.events.loc[event["name"]]
        assert (row.verdict, row.condition) == (event["verdict"], event["condition"])
        assert (row.true_at_start, row.true_at_end) == (event["true_at_start"], event["true_at_end"])
        assert row.crossings == len(event["up"]) + len(event["down"])
        holds = event["true_at_end"] and event["applicable"]
        last = max(event["up"], key=lambda crossing: crossing["t"], default={"t": 0, "error": 0})
        assert row.t == last["t"] if holds else np.isnan(row.t)
        for becomes, side in ((True, event["up"]), (False, event["down"])):
            found = run.crossings[(run.crossings.event == event["name"]) & (run.crossings.becomes == becomes)]
            assert list(found.t) == [crossing["t"] for crossing in side]
            assert list(found.error) == [crossing["error"] for crossing in side]
            assert list(found.certain) == [crossing["certain"] for crossing in side]
    T1, error = run.T1
    assert (T1, error) == (told["T1"], told["T1_error"]) if told["T1"] is not None else np.isnan(T1)
    assert run.T2 == told["T2"]


def test_a_comparison_is_its_flow_its_descents_and_their_distances(comparison_file):
    compared = gradflow.open_comparison(comparison_file)
    assert compared.labels == ["gd 0.04", "gd 0.02"] and compared.finished
    assert [descent.attributes["rate"] for descent in compared.descents] == [0.04, 0.02]
    with h5py.File(comparison_file) as file:
        assert np.array_equal(compared.distances.distance, file["comparison/distance"])
        assert np.array_equal(compared.flow.observables.loss, file["flow/loss"])
        assert np.array_equal(compared.descents[1].observables.G, file["descents/1/G"])
        assert np.array_equal(compared.fits.order, file["fits/order"], equal_nan=True)
    assert gradflow.events(comparison_file).equals(compared.flow.events)
    assert gradflow.events(comparison_file, descent=1).equals(compared.descents[1].events)
    assert repr(gradflow.open_file(comparison_file)) == repr(compared)


def wait_for(path, rows):
    deadline = time.monotonic() + 60
    while True:
        try:
            run = gradflow.open_run(path)
            if run.observables.sizes["t"] >= rows:
                return run
        except (gradflow.NoSuchFile, gradflow.NotReady):
            pass
        assert time.monotonic() < deadline, "no row in a minute"
        time.sleep(0.05)


def test_a_run_opens_while_it_is_written_and_after_it_was_killed(slow):
    writer, path = slow
    live = wait_for(path, 10)
    later = wait_for(path, live.observables.sizes["t"] + 10)
    assert writer.poll() is None and not later.finished and later.outcome == "unfinished"
    for run in (live, later):
        assert all(np.isfinite(run.observables[name]).all() for name in ("t", "loss", "G", "B"))
    cut = {"t": slice(live.observables.sizes["t"])}
    xr.testing.assert_equal(live.observables.isel(cut), later.observables.isel(cut))  # rows stay as they were
    assert (np.diff(later.observables.t) > 0).all() and later.states.sizes["t"] >= 1
    writer.kill()
    writer.wait()
    killed = gradflow.open_run(path)
    assert not killed.finished and killed.observables.sizes["t"] >= later.observables.sizes["t"]
    assert gradflow.phases(path)["finished"] is False


def test_follow_waits_for_the_file_and_ends_with_the_run(folder, tmp_path):
    path = tmp_path / "run.h5"
    following = gradflow.follow(path, interval=0.01)
    writer = subprocess.Popen([sys.executable, "-c", "import sys, time, os; time.sleep(0.3); os.execv(sys.argv[1], sys.argv[1:])",
                               gradflow.command(), "simulate", str(folder / "small.toml"), "-o", str(path), "--quiet",
                               "--set", "solver.rtol=1e-12"], stdout=subprocess.DEVNULL)
    looks = list(following)
    assert writer.wait() == 0
    assert looks[-1].finished and not any(run.finished for run in looks[:-1])
    xr.testing.assert_identical(looks[-1].observables, gradflow.open_run(path).observables)


def test_follow_gives_up_on_a_killed_run(slow, run_file, tmp_path):
    writer, path = slow
    wait_for(path, 3)
    writer.kill()
    writer.wait()
    with pytest.warns(UserWarning, match="nothing has been written to .* for 0.2 s"):
        looks = list(gradflow.follow(path, interval=0.05, patience=0.2))
    assert len(looks) == 1 and not looks[0].finished
    with pytest.warns(UserWarning, match="nothing has been written"):
        assert not list(gradflow.follow(tmp_path / "never.h5", interval=0.05, patience=0.2))
    empty = damaged(run_file, tmp_path, lambda file: file["t"].write_direct(np.full(60, np.nan)))
    with pytest.warns(UserWarning, match="nothing has been written"):
        assert not list(gradflow.follow(empty, interval=0.05, patience=0.2))


def test_rows_beyond_the_last_finite_time_are_cut(run_file, tmp_path):
    path = tmp_path / "torn.h5"
    shutil.copy(run_file, path)
    with h5py.File(path, "r+") as file:
        file["t"][-7:] = np.nan
        file["steps/t"][-2:] = np.nan
    torn, whole = gradflow.open_run(path), gradflow.open_run(run_file)
    xr.testing.assert_identical(torn.observables, whole.observables.isel(t=slice(-7)))
    xr.testing.assert_identical(torn.steps, whole.steps.isel(t=slice(-2)))


def damaged(run_file, tmp_path, change):
    path = tmp_path / "damaged.h5"
    shutil.copy(run_file, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_what_is_no_run_says_so(run_file, comparison_file, folder, tmp_path):
    with pytest.raises(gradflow.NoSuchFile, match="no file '.*ru.h5'. Did you mean 'run.h5'?"):
        gradflow.open_run(folder / "ru.h5")
    assert issubclass(gradflow.NoSuchFile, FileNotFoundError)
    with pytest.raises(gradflow.NotAGradflowFile, match="is a folder"):
        gradflow.open_run(folder)
    with pytest.raises(gradflow.NotAGradflowFile, match="small.toml' is not an HDF5 file"):
        gradflow.open_run(folder / "small.toml")
    with pytest.raises(gradflow.NotAGradflowFile, match="is a comparison.*open_comparison"):
        gradflow.open_run(comparison_file)
    with pytest.raises(gradflow.NotAGradflowFile, match="is a run.*open_run"):
        gradflow.open_comparison(run_file)
    with pytest.raises(gradflow.GradflowError, match="has no group 'descents/7'"):
        gradflow.open_run(comparison_file, "descents/7")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["t"] = [1.0]
    with pytest.raises(gradflow.NotAGradflowFile, match="no run or comparison of gradflow"):
        gradflow.open_run(tmp_path / "other.h5")
    newer = damaged(run_file, tmp_path, lambda file: file.attrs.modify("schema_version", 99))
    with pytest.raises(gradflow.NotAGradflowFile, match="layout 99, written by a newer gradflow"):
        gradflow.open_run(newer)
    empty = damaged(run_file, tmp_path, lambda file: file["t"].write_direct(np.full(60, np.nan)))
    with pytest.raises(gradflow.NotReady, match="holds no row yet"):
        gradflow.open_run(empty)
    (tmp_path / "torn.h5").write_bytes(run_file.read_bytes()[:3000])
    with pytest.raises(gradflow.GradflowError, match="cannot be opened as HDF5"):
        gradflow.open_run(tmp_path / "torn.h5")


def test_a_damaged_file_is_an_error(run_file, comparison_file, tmp_path):
    draw, path = random.Random(3), tmp_path / "damaged.h5"
    for whole in (run_file.read_bytes(), comparison_file.read_bytes()):
        for place in [len(whole) - 1, len(whole) - 20, *(draw.randrange(len(whole)) for _ in range(30))]:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1:])
            with pytest.raises(gradflow.GradflowError):
                gradflow.open_file(path)
        path.write_bytes(whole)
        gradflow.open_file(path)


def test_settings_reach_the_run(folder, tmp_path):
    path = gradflow.run(folder / "small.toml", tmp_path / "a 'b'.h5", seed=np.int64(7), flow__rates={"W_K": 0, "W_Q": 0.5},
                        model__start__kind="linear-default", solver__error_bars=False, solver__rtol=1e-7,
                        save__words=[1, 2, 3, 5], task__targets=(2, 1))
    settings = gradflow.open_run(path).settings
    assert (settings["seed"], settings["solver"]["rtol"], settings["solver"]["error_bars"]) == (7, 1e-7, False)
    assert settings["model"]["start"]["kind"] == "linear-default" and settings["flow"]["rates"]["W_Q"] == 0.5
    assert (settings["save"]["words"], settings["task"]["targets"]) == ([1, 2, 3, 5], [2, 1])


def test_the_command_says_what_is_wrong(folder, run_file, monkeypatch):
    with pytest.raises(gradflow.CommandFailed, match="solver.rtoll") as failed:
        gradflow.run(folder / "small.toml", folder / "never.h5", solver__rtoll=1e-3)
    assert failed.value.returncode == 2
    with pytest.raises(gradflow.CommandFailed, match="it exists already"):
        gradflow.run(folder / "small.toml", run_file)
    with pytest.raises(gradflow.GradflowError, match="there are .*paper.toml"):
        gradflow.data("papers.toml")
    assert gradflow.data("paper.toml").is_file()
    monkeypatch.setenv("GRADFLOW_COMMAND", "/nowhere/gradflow")
    with pytest.raises(gradflow.CommandMissing, match="GRADFLOW_COMMAND is '/nowhere/gradflow'"):
        gradflow.command()


def test_the_default_name_is_the_commands(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADFLOW_COMMAND", gradflow.command())  # absolute, before the folder changes
    monkeypatch.chdir(tmp_path)
    assert str(gradflow.run(folder / "small.toml", solver__until=1.0)) == "small.h5"
    assert str(gradflow.compare(folder / "small.toml", solver__until=1.0)) == "small-compare.h5"
    assert (tmp_path / "small.h5").is_file() and (tmp_path / "small-compare.h5").is_file()


def test_an_ensemble_keeps_its_order(folder, tmp_path):
    paths = gradflow.ensemble(folder / "small.toml", tmp_path / "many", [{"seed": s} for s in (5, 3, 4)], solver__until=1.0)
    assert [gradflow.open_run(path).attributes["seed"] for path in paths] == [5, 3, 4]
    every = gradflow.gather(gradflow.crossings, paths)
    assert every.loc[1].reset_index(drop=True).equals(gradflow.crossings(paths[1]))


def claim(name, verdict, measured):
    return {"name": name, "source": "Theorem 1", "statement": "It holds.", "measured": measured, "unit": "1", "at": None,
            "constant": None, "constant_name": None, "verdict": verdict, "from": None, "fails_on": [], "note": None, "values": {}}


def test_claims_are_those_of_the_commands_document(tmp_path, monkeypatch):
    first = [claim("b", "holds", 1.0), claim("a", "fails", None)]
    second = [claim("b", "holds from t on", 3.0), claim("a", "fails", 2.5)]
    for name, claims in (("one", first), ("two", second), ("none", [])):
        (tmp_path / name).write_text(json.dumps({"claims": claims}))
    fake = tmp_path / "fake"
    fake.write_text('#!/bin/sh\n[ "$1 $3" = "phases --json" ] && cat "$2"\n')  # phases FILE --json
    fake.chmod(0o755)
    monkeypatch.setenv("GRADFLOW_COMMAND", str(fake))
    table = gradflow.claims(tmp_path / "one")
    assert list(table.index) == ["b", "a"] and table.verdict["a"] == "fails" and table.measured["b"] == 1.0
    over = gradflow.claims_over([tmp_path / "one", gradflow.phases(tmp_path / "two")])
    assert list(over.index) == ["b", "a"]
    counts = over[["holds", "holds from t on", "fails", "not applicable"]].values.tolist()
    assert counts == [[1, 1, 0, 0], [0, 0, 2, 0]]
    assert over.loc["b", ["smallest", "median", "largest"]].tolist() == [1.0, 2.0, 3.0]
    assert over.loc["a", "median"] == 2.5
    assert gradflow.claims(tmp_path / "none").empty and gradflow.claims_over([tmp_path / "none"] * 2).empty


def test_claims_of_a_real_run_have_their_columns(run_file):
    from gradflow.tables import CLAIM_COLUMNS
    table = gradflow.claims(run_file)
    assert isinstance(table, pd.DataFrame) and list(table.columns) == CLAIM_COLUMNS[1:]
    assert set(table.verdict) <= {"holds", "fails", "holds from t on", "not applicable"}
    assert len(set(table.index)) == len(table)


def test_an_installed_module_finds_its_command_and_experiments(tmp_path):
    python, bin_folder = tmp_path / "share/gradflow/python", tmp_path / "bin"
    shutil.copytree(gradflow.commands._HERE, python / "gradflow", ignore=shutil.ignore_patterns("__pycache__"))
    bin_folder.mkdir()
    shutil.copy(shutil.which(gradflow.command()), bin_folder / "gradflow")
    (tmp_path / "share/gradflow/experiments").mkdir()
    (tmp_path / "share/gradflow/experiments/mine.toml").touch()
    probe = "import gradflow; print(gradflow.command(), gradflow.data('mine.toml'))"
    done = subprocess.run([sys.executable, "-c", probe], env={"PYTHONPATH": str(python), "PATH": "/nowhere"},
                          capture_output=True, text=True)
    assert done.stdout.split() == [str(bin_folder / "gradflow"), str(tmp_path / "share/gradflow/experiments/mine.toml")]


def test_modules_that_the_reader_needs_only():
    """Reading loads neither matplotlib nor scipy."""
    probe = "import sys, gradflow; print([m for m in ('matplotlib', 'scipy') if m in sys.modules])"
    path = str(gradflow.commands._HERE.parent)
    done = subprocess.run([sys.executable, "-c", probe], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_everything_named_is_there():
    assert all(getattr(gradflow, name) is not None for name in gradflow.__all__)
    assert all(gradflow.__dict__.get(name).__doc__ for name in itertools.filterfalse(("plots", "quantities").__contains__,
                                                                                     gradflow.__all__))
