"""Pictures: that they say what they show, and that the command and the module write them."""
import os
import subprocess
import sys

import gradflow
import h5py
import matplotlib.pyplot as plt
import numpy as np
import pytest
from gradflow import plots

PYTHON = sys.executable


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def labelled(figure):
    """Every panel says what is on its y axis, the lowest what is on the x axis."""
    return all(axes.get_ylabel() for axes in figure.axes) and bool(figure.axes[-1].get_xlabel())


def test_overview_marks_the_events_at_their_times(run_file):
    run = gradflow.open_run(run_file)
    figure = plots.overview(run)
    assert labelled(figure) and len(figure.axes) == 4
    drawn = run.events.t[run.events.t > 0].dropna()
    for axes in figure.axes:
        lines = {line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1}
        assert lines >= set(drawn)
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names[: len(drawn)] == [plots._event_name(name) for name in drawn.sort_values().index]
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "I1"
    again = plots.overview(run, figure=figure)  # into the same figure, as watch() does
    assert again is figure and len(figure.axes) == 4


def test_overview_draws_the_loss_of_fresh_samples(folder, tmp_path):
    run = gradflow.open_run(gradflow.run(folder / "small.toml", tmp_path / "run.h5", task__test_samples=12))
    drawn = {line.get_label(): line for line in plots.overview(run).axes[0].lines}
    assert np.array_equal(drawn["fresh samples"].get_ydata(), run.observables.loss_test)
    assert np.array_equal(drawn["all"].get_ydata(), run.observables.loss)


def test_names_move_apart_and_stay_in_the_panel():
    rng = np.random.default_rng(1)
    for n in range(1, 25):
        places = np.sort(rng.random(n) ** 3)
        least = min(0.04, 1 / n)
        moved = np.array(plots._apart(places, least))
        assert (np.diff(moved) >= least - 1e-12).all() and moved.max() <= 1 and moved.min() >= -1e-12
    assert plots._apart([0.1, 0.5, 0.9], 0.04) == [0.1, 0.5, 0.9]


def test_comparison_shows_every_descent(comparison_file):
    compared = gradflow.open_comparison(comparison_file)
    figure = plots.picture(compared)
    assert labelled(figure)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["flow", "gd 0.04", "gd 0.02"]
    distances = {line.get_label(): line for line in figure.axes[1].lines}
    assert np.array_equal(distances["gd 0.02"].get_ydata(), compared.distances.distance[1:, 1])
    assert np.isfinite(distances["gd 0.02 from its flow of order 2"].get_ydata().astype(float)).any()


def test_figure_1_has_both_time_axes(run_file):
    runs = {"one": gradflow.open_run(run_file), "two": gradflow.open_run(run_file)}
    for scale, until in (("log", None), ("linear", 0.5)):
        figure = plots.figure1(runs, scale, until)
        assert labelled(figure) and len(figure.axes) == 4
        assert all(axes.get_xscale() == scale for axes in figure.axes)
        assert figure.axes[0].get_xlim()[1] == pytest.approx(until or 50)


def test_the_picture_of_another_flow_has_its_series(run_file, tmp_path):
    run = gradflow.open_run(run_file)
    run.observables = run.observables[["U", "power"]]
    figure = plots.overview(run)
    assert [axes.get_ylabel() for axes in figure.axes] == ["U (1)"]


def test_a_run_that_has_just_begun_is_not_drawn(run_file):
    run = gradflow.open_run(run_file)
    run.observables = run.observables.isel(t=slice(2))
    with pytest.raises(gradflow.NotReady, match="2 of its rows"):
        plots.overview(run)
    assert not plt.get_fignums()


def test_a_comparison_that_has_just_begun_is_not_drawn(comparison_file):
    compared = gradflow.open_comparison(comparison_file)
    compared.distances = compared.distances.isel(t=slice(1))
    with pytest.raises(gradflow.NotReady, match="1 of its rows"):
        plots.comparison(compared)


def test_a_killed_run_is_drawn_and_named_unfinished(run_file):
    run = gradflow.open_run(run_file)
    run.observables, run.outcome = run.observables.isel(t=slice(40)), "unfinished"
    assert "unfinished" in plots.overview(run)._suptitle.get_text()


def plot(*arguments, cwd, **environment):
    return subprocess.run([gradflow.command(), "plot", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "GRADFLOW_PYTHON": PYTHON, **environment})


@pytest.fixture(autouse=True)
def _absolute(monkeypatch):
    monkeypatch.setenv("GRADFLOW_COMMAND", os.path.abspath(gradflow.command()))


SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("end", SIGNATURES)
def test_the_command_writes_pictures(run_file, tmp_path, end):
    done = plot(run_file, "-o", f"figure{end}", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"figure{end}\n", "")
    assert (tmp_path / f"figure{end}").read_bytes().startswith(SIGNATURES[end])


def test_the_commands_default_name_and_refusals(run_file, comparison_file, folder, tmp_path):
    (tmp_path / "comparison.png").touch()
    there = plot(comparison_file, cwd=tmp_path)
    assert there.returncode == 3 and "'comparison.png' exists already" in there.stderr and "--force" in there.stderr
    forced = plot(comparison_file, "--force", cwd=tmp_path)
    assert (forced.stdout, forced.stderr) == ("comparison.png\n", "")
    assert (tmp_path / "comparison.png").read_bytes().startswith(SIGNATURES[".png"])
    kind = plot(run_file, "-o", "a.doc", cwd=tmp_path)
    assert kind.returncode == 2 and "'a.doc' names no kind of picture" in kind.stderr and "Traceback" not in kind.stderr
    nowhere = plot(run_file, "-o", "no/a.png", cwd=tmp_path)
    assert nowhere.returncode == 3 and "there is no folder 'no'" in nowhere.stderr
    missing = plot("rum.h5", cwd=run_file.parent)
    assert missing.returncode == 3 and "Did you mean 'run.h5'?" in missing.stderr
    assert plot(folder / "small.toml", cwd=tmp_path).returncode == 2
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    other = plot("other.h5", cwd=tmp_path)
    assert other.returncode == 3 and "no run or comparison of gradflow" in other.stderr


def test_the_command_says_what_is_not_installed(run_file, tmp_path):
    bare = tmp_path / "python"  # without site-packages: the standard library alone
    bare.write_text(f'#!/bin/sh\nexec "{PYTHON}" -S "$@"\n')
    bare.chmod(0o755)
    done = plot(run_file, cwd=tmp_path, GRADFLOW_PYTHON=str(bare), PYTHONPATH="")
    assert done.returncode == 3 and "has no module h5py; on Debian: apt-get install python3-h5py" in done.stderr
    assert "Traceback" not in done.stderr
    gone = plot(run_file, cwd=tmp_path, GRADFLOW_PYTHON="/nowhere/python")
    assert gone.returncode == 3 and "cannot run the Python interpreter '/nowhere/python'" in gone.stderr


def test_nothing_in_the_current_folder_is_taken_for_a_module(run_file, tmp_path):
    for name in ("gradflow.py", "h5py.py", "reader.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong one')\n")
    assert plot(run_file, cwd=tmp_path).returncode == 0


def test_the_module_from_a_terminal(run_file):
    def module(*arguments):
        return subprocess.run([PYTHON, "-m", "gradflow", *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(gradflow.commands._HERE.parent)})
    events = module("events", run_file)
    assert events.returncode == 0 and "classified" in events.stdout
    assert module("claims", run_file).returncode == 0
    assert module("events", "nothing.h5").returncode == 3
    assert module("plots", run_file).returncode == 2


def test_watch_draws_until_the_run_ends(run_file, monkeypatch):
    """A window cannot be had here: what would be shown is counted instead."""
    shown = []
    monkeypatch.setattr(gradflow.live, "_in_window", lambda figure: shown.append(figure) or True)
    run = gradflow.watch(run_file, interval=0.01)
    assert run.finished and len(shown) == 1 and len(shown[0].axes) == 4
    monkeypatch.undo()
    with pytest.raises(gradflow.GradflowError, match="a window cannot be opened here"):
        gradflow.watch(run_file)
