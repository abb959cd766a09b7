"""Misfortune with the real command: no memory, no disk, numbers that cannot be computed. Each ends with a message that says
what to do, an exit code that says whose fault it was, and a file that says the same; what was written stays readable.
Fortune beside it: the same run twice has the same bits."""
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from command import COMMAND, SHORT_STEPS, SMALL_PROBLEM, assert_same, contents, gradflow, within  # noqa: E402

DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data")
EXPERIMENT = SMALL_PROBLEM + """[solver]
until = 1e2
[save]
records = 20
states = 3
checkpoint_seconds = 0.02
"""
LONG = SHORT_STEPS  # some 12,000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The contents of the long run that no misfortune met."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "small.toml").write_text(EXPERIMENT)
    result = gradflow(folder, "simulate", "small.toml", "--quiet", *LONG)
    assert (result.returncode, result.stderr) == (0, "")
    return contents(folder / "small.h5")


# Memory

@pytest.mark.parametrize("command", ["simulate", "compare"])
@pytest.mark.parametrize("setting, part", [
    ("model.width=1000000000", "weights"), ("model.hidden=1000000000", "weights"), ("task.words=1000000000", "weights"),
    ("task.samples=600000000", "samples and their attention"), ("task.length=1000000000", "samples and their attention"),
    ("save.records=1000000000", "times of records and snapshots"),
    ("save.states=1000000000", "times of records and snapshots"),
])
def test_what_no_machine_can_hold_is_refused_at_once(folder, command, setting, part):
    began = time.monotonic()
    # With 64 GB for an address space the same would end in std::bad_alloc if it were tried.
    result = gradflow(folder, command, "small.toml", "--set", setting,
                      preexec_fn=within(64 << 30))
    if result.returncode != 2 and part.startswith("times") and os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 1e11:
        pytest.skip("this machine can hold that")
    assert result.returncode == 2 and result.stdout == ""
    assert "nothing was started" in result.stderr and "B of memory, but there are" in result.stderr
    assert f"for the {part}: lower" in result.stderr or f"for {part}: lower" in result.stderr
    if part == "weights":
        assert 'flow.formulation = "coupled" with model.start.kind = "limit"' in result.stderr
    assert time.monotonic() - began < 5  # 0.05 s here; the machine may be busy
    assert sorted(os.listdir(folder)) == ["small.toml"]


def test_a_vocabulary_in_a_file_is_weighed_before_it_gets_names(folder):
    with h5py.File(folder / "task.h5", "w") as file:
        file["tokens"], file["labels"], file.attrs["words"] = [[0, 1, 2]], [1], 10**9
    (folder / "task.jsonl").write_text('{"tokens": [0, 1, 2], "label": 1}\n')
    for settings in ("path = 'task.h5'", "path = 'task.jsonl'\nwords = 1000000000"):
        (folder / "file.toml").write_text("[task]\nkind = 'file'\n" + settings)
        result = gradflow(folder, "simulate", "file.toml")
        assert result.returncode == 2 and "for weights: lower task.words" in result.stderr, result.stderr


def test_a_run_too_large_to_go_on_with_is_refused_at_once(folder):
    assert gradflow(folder, "simulate", "small.toml", "--quiet").returncode == 0
    with h5py.File(folder / "small.h5", "r+") as file:
        file.attrs["settings"] = file.attrs["settings"].replace("records = 20", "records = 1000000000")
    before = (folder / "small.h5").read_bytes()
    for words in (["resume", "small.h5", "--until", "1e3"], ["certify", "small.h5"], ["phases", "small.h5"]):
        began = time.monotonic()
        result = gradflow(folder, *words)
        if result.returncode != 2 and os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 1e11:
            pytest.skip("this machine can hold that")
        assert result.returncode == 2 and result.stdout == "", result.stderr
        assert "small.h5: the run needs about" in result.stderr and "B of memory, but there are" in result.stderr
        assert "Its settings stand: do this where there is more memory" in result.stderr
        assert "for times of records and snapshots: lower save.records" in result.stderr
        assert time.monotonic() - began < 5  # 0.1 s here; the machine may be busy
    assert (folder / "small.h5").read_bytes() == before and sorted(os.listdir(folder)) == ["small.h5", "small.toml"]


# Disk

@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 8 MB, and a way to fill it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here: " + mounted.stderr.strip())
    (disk / "small.toml").write_text(EXPERIMENT)
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError:
            pass


def started(folder, *more):
    """A long run, once it has written some of its rows."""
    process = subprocess.Popen([COMMAND, "simulate", "small.toml", *LONG, *more], cwd=folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        try:
            with h5py.File(folder / "small.h5", "r", libver="latest", swmr=True) as file:
                if len(file["steps/t"]) > 0:
                    return process
        except OSError:
            pass  # not there yet, or in the middle of a write
        time.sleep(0.002)
    raise AssertionError(process.stderr.read())


def rows(path, group=""):
    """How many steps a reader finds in a file that was not closed; what it finds must be whole."""
    with h5py.File(path, "r", libver="latest", swmr=True) as file:
        run = file[group] if group else file
        count = len(run["steps/t"])
        assert np.all(np.diff(run["steps/t"][:]) > 0) and np.all(run["steps/error_ratio"][:count] <= 1)
        assert np.all(np.isfinite(run["loss"][: len(run["t"])]))
        return count


def test_a_full_disk_stops_the_run_and_resume_goes_on_with_room(small_disk, unbroken):
    process = started(small_disk)
    fill(small_disk)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 3, talk
    assert "small.h5" in talk and "No space left on device" in talk
    committed = rows(small_disk / "small.h5")
    assert 0 < committed < len(np.frombuffer(unbroken["steps/t"]))

    # Still no room: nothing is lost by trying.
    before = (small_disk / "small.h5").read_bytes()
    refused = gradflow(small_disk, "resume", "small.h5", "--quiet")
    assert refused.returncode == 3 and "No space left on device" in refused.stderr, refused.stderr
    assert (small_disk / "small.h5").read_bytes() == before
    assert [name for name in os.listdir(small_disk) if name.endswith(".part")] == []

    (small_disk / "filler").unlink()
    resumed = gradflow(small_disk, "resume", "small.h5", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert_same(small_disk / "small.h5", unbroken)


def test_too_little_room_is_foreseen(small_disk):
    (small_disk / "filler").write_bytes(bytes(7 << 20))
    result = gradflow(small_disk, "simulate", "small.toml", "--set", "save.states=1000")
    assert result.returncode == 2
    assert "MB on the disk of '.', but there are" in result.stderr and "for snapshots: lower save.states" in result.stderr
    compared = gradflow(small_disk, "compare", "small.toml", "--set", "descent.rates=[0.1, 0.05]")
    assert compared.returncode == 2 and "on the disk of '.'" in compared.stderr
    assert sorted(os.listdir(small_disk)) == ["filler", "small.toml"]


@pytest.mark.parametrize("words", [
    ["simulate", *LONG],
    ["compare", "--set", "solver.until=20.0", "--set", "descent.rates=[0.01, 0.005]", "--set", "descent.curvature=3"],
], ids=["simulate", "compare"])
def test_a_limit_of_the_file_size_is_a_full_disk(folder, words):
    words = [words[0], "small.toml", "--quiet", *words[1:]]
    whole = gradflow(folder, *words, "-o", "whole.h5")
    assert whole.returncode == 0
    size = (folder / "whole.h5").stat().st_size

    def limit():
        # The signal that comes with it would end the process.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 20_000, size - 20_000))

    ended = gradflow(folder, *words, "-o", "ended.h5", preexec_fn=limit)
    assert ended.returncode == 3 and "ended.h5: cannot be written: File too large" in ended.stderr, ended.stderr
    rows(folder / "ended.h5", "" if words[0] == "simulate" else "flow/")
    resumed = gradflow(folder, "resume", "ended.h5", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert_same(folder / "ended.h5", contents(folder / "whole.h5"))


def test_a_folder_that_vanishes_stops_the_run(folder):
    place = folder / "place"
    place.mkdir()
    shutil.copy(folder / "small.toml", place)
    process = started(place, "--set", "solver.max_step=1e-4")
    shutil.rmtree(place)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 3 and "small.h5" in talk, talk
    assert not place.exists()


def test_a_read_only_file_is_left_as_it_is(folder):
    ended = gradflow(folder, "simulate", "small.toml", "--quiet", "--set", "solver.max_steps=10")
    assert ended.returncode == 1
    before = (folder / "small.h5").read_bytes()
    (folder / "small.h5").chmod(0o444)
    for words in (["simulate", "small.toml", "--force"], ["resume", "small.h5"]):
        refused = gradflow(folder, *words, "--quiet")
        assert refused.returncode == 3 and "read-only" in refused.stderr, refused.stderr
    assert (folder / "small.h5").read_bytes() == before
    (folder / "small.h5").chmod(0o644)
    assert gradflow(folder, "resume", "small.h5", "--quiet").returncode == 1  # the budget once more


def test_a_file_made_read_only_while_it_is_written_is_finished(folder, unbroken):
    process = started(folder)
    (folder / "small.h5").chmod(0o444)  # binds who opens it, not who has it open
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk
    assert_same(folder / "small.h5", unbroken)


# Numbers

def write_start(path, W=0.4, W_V=0.3, W_K=0.4, W_Q=0.4, entry=None):
    draw = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        for name, scale, shape in (("W", W, (16, 24)), ("W_V", W_V, (24, 20)), ("W_K", W_K, (24, 20)), ("W_Q", W_Q, (24, 20))):
            file[name] = scale * draw.standard_normal(shape)
        file["a"] = draw.choice([-1.0, 1.0], 16)
        if entry is not None:
            file["W_K"][3, 7] = entry


#   settings, start, exit code, outcome, what the message says
FATES = {
    "no misfortune": ([], None, 0, "reached_end", "reached its end (t = 100,"),
    # dopri5 needs some 1100 steps here, and 75 at the default tolerance.
    "a tolerance too tight for its budget": (["solver.rtol=1e-14", "solver.atol=1e-20", "solver.max_steps=500"], None, 1, "step_limit",
                                             "the budget of accepted steps is used up"),
    "steps used up": (["solver.max_steps=10"], None, 1, "step_limit", "10 steps"),
    "rejections used up": (["solver.max_rejections=2", "solver.initial_step=9.0"], None, 1, "rejection_limit",
                           "the budget of rejected steps is used up (t = 0, 0 steps, 2 rejected"),
    "time used up": (["solver.max_wall_seconds=1e-3", "solver.max_step=1e-5"], None, 1, "wall_clock",
                     "the budget of wall-clock time is used up"),
    "a zero gradient": (["solver.until=1e12"], {"W": 0, "W_V": 0}, 0, "reached_end", "(t = 1e+12, "),
    "a step underflow": (["solver.clock=linear"], {"W": 1e150}, 1, "step_underflow",
                         "the step became too small for the clock to move"),
    "a derivative that overflows": ([], {"W_K": 1e160, "W_Q": 1e160}, 1, "not_finite",
                                    "the solution or its derivative is not finite, however small the step (t = 0, 0 steps"),
    "a rate that overflows": (["flow.rates.W=1e300"], None, 1, "not_finite", "however small the step"),
    "stiff beyond its budget": (["solver.max_rejections=100"], {"W": 1e6, "W_V": 1e6, "W_K": 1e6, "W_Q": 1e6}, 1,
                                "rejection_limit", "W_V"),
}


@pytest.mark.parametrize("fate", list(FATES))
@pytest.mark.parametrize("method", ["dopri5", "cash-karp54"])
def test_every_fate_has_its_outcome_message_and_code(folder, fate, method):
    settings, start, code, outcome, said = FATES[fate]
    if start is not None:
        write_start(folder / "start.h5", **start)
        settings = ["model={start = {kind = 'file', path = 'start.h5'}}", *settings]
    words = [word for setting in [f"solver.method={method}", *settings] for word in ("--set", setting)]
    result = gradflow(folder, "simulate", "small.toml", "--quiet", *words)
    assert result.returncode == code, result.stderr
    if code == 0:
        assert result.stderr == ""
    else:
        assert result.stderr.startswith("gradflow: the run ended before its target: ") and said in result.stderr
    shown = json.loads(gradflow(folder, "show", "small.h5", "--json").stdout)
    assert shown["outcome"] == outcome
    assert said in shown["message"] and (code == 0 or shown["message"][:200] in result.stderr)
    assert shown["records"] >= 1 and shown["snapshots"] >= 1
    steps = shown["statistics"]["accepted"]
    if fate == "a zero gradient":
        assert steps < 50  # nothing moves: the steps only grow
        with h5py.File(folder / "small.h5") as file:
            assert file["t"][-1] == 1e12 and np.all(file["loss"][:] == file["loss"][0]) and np.all(file["power"][:] == 0)
    # Whatever happened, the file is closed, and its last record is where the run stood.
    with h5py.File(folder / "small.h5") as file:
        assert np.all(np.isfinite(file["t"][:]))
        assert len(file["steps/t"]) == steps
        if steps:
            assert file["t"][-1] == file["steps/t"][-1]


@pytest.mark.parametrize("command", ["simulate", "compare"])
@pytest.mark.parametrize("entry, code, said", [(np.inf, 3, "W_K: must be finite; element [3, 7] (from 0) is inf"),
                                               (np.nan, 3, "W_K: must be finite; element [3, 7] (from 0) is nan")])
def test_a_start_that_is_not_finite_is_refused(folder, command, entry, code, said):
    write_start(folder / "start.h5", entry=entry)
    result = gradflow(folder, command, "small.toml", "--set", "model={start = {kind = 'file', path = 'start.h5'}}")
    assert result.returncode == code and said in result.stderr and "start.h5" in result.stderr
    assert not (folder / "small.h5").exists()


def test_a_start_whose_products_overflow_is_refused(folder):
    write_start(folder / "start.h5", W=1e200, W_V=1e200)
    result = gradflow(folder, "simulate", "small.toml", "--set", "model={start = {kind = 'file', path = 'start.h5'}}")
    assert result.returncode == 2 and "model.start: its weights are so large" in result.stderr, result.stderr


@pytest.mark.parametrize("rtol", ["1e-15", "0", "nan", "-1", "0.5"])
def test_a_tolerance_beyond_the_arithmetic_is_refused(folder, rtol):
    result = gradflow(folder, "simulate", "small.toml", "--set", f"solver.rtol={rtol}")
    assert result.returncode == 2 and "key 'solver.rtol'" in result.stderr and "1e-14" in result.stderr


def test_a_descent_that_explodes_is_a_result(folder):
    result = gradflow(folder, "compare", "small.toml", "--quiet", "--set", "solver.until=2e6", "--set",
                      "descent.rates=[5000.0, 1000.0]", "--set", "descent.curvature=0")
    assert (result.returncode, result.stderr) == (0, "")
    shown = json.loads(gradflow(folder, "show", "small-compare.h5", "--json").stdout)
    assert shown["outcome"] == "reached_end"  # the flow does not mind
    for descent in shown["comparison"]["descents"]:
        assert descent["outcome"] == "diverged"
        assert descent["message"].startswith("the descent diverged: its next state is not finite (step ")
    with h5py.File(folder / "small-compare.h5") as file:
        for d in "01":
            run = file[f"descents/{d}"]
            assert np.all(np.isfinite(run["states/W_V"][-1]))  # the last state that was
            assert 0 < run["states/t"][-1] < 2e6


# Determinism

@pytest.mark.parametrize("command, settings", [
    ("simulate", ["solver.until=1.0"]),
    ("simulate", ["solver.until=0.3", "flow.formulation=coupled", "solver.method=fehlberg78",
                  'save.observables=["attention", "stable_rank"]']),
    ("compare", ["solver.until=0.2", "descent.methods=['gd', 'adam', 'sgd']", "descent.rates=[0.01, 0.005]",
                 "descent.modified=[2]", "descent.curvature=3"]),
])
def test_the_same_run_twice_has_the_same_bits(tmp_path, command, settings):
    words = [word for setting in settings for word in ("--set", setting)]
    for name in ("one.h5", "two.h5"):
        result = gradflow(tmp_path, command, os.path.join(DATA, "paper.toml"), "--quiet", "-o", name, *words,
                          env={**os.environ, "PADDING": name * (1 if name == "one.h5" else 997)})  # other addresses
        assert result.returncode == 0, result.stderr
    assert len(contents(tmp_path / "one.h5")) > 50
    assert_same(tmp_path / "two.h5", contents(tmp_path / "one.h5"))
