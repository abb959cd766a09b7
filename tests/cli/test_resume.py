"""`gradflow resume`: real processes are killed, interrupted and stopped, and what is resumed has the bits of a run that
was not."""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from command import COMMAND, SANITIZED, SHORT_STEPS, SMALL_PROBLEM, assert_same, contents, gradflow  # noqa: E402

EXPERIMENT = SMALL_PROBLEM + """[solver]
rtol = 1e-9
until = 1e5
[save]
records = 50
states = 7
checkpoint_seconds = 1e-9       # after every step
[[event]]
name = "late"
quantity = "loss"
crosses = 1e-4
direction = "down"
"""
# Some 20,000 steps: a run that lasts until it is killed.
LONG = [*SHORT_STEPS, "--set", "save.checkpoint_seconds=1e6"]
KINDS = {
    "reduced": [],
    "full, fehlberg78, linear clock": ["flow.formulation=full", "solver.method=fehlberg78", "solver.clock=linear",
                                       "solver.until=60.0"],
    "coupled, cash-karp54": ["flow.formulation=coupled", "solver.method=cash-karp54", "solver.rtol=1e-7"],
    "compressed": ["model.width=60"],
    "rkc2": ["solver.method=rkc2", "solver.rtol=1e-5"],
    "rock4": ["solver.method=rock4", "solver.rtol=1e-7"],
    # Words of one sample each, long columns: steps that keep their derivatives in factors.
    "in a frozen basis": ["task.fillers=distinct", "task.samples=60", "task.length=5", "task.words=303", "model.width=128",
                          "solver.rtol=1e-6", "solver.until=100.0"],
    "in a frozen basis, dop853": ["task.fillers=distinct", "task.samples=96", "task.length=6", "task.words=579",
                                  "model.width=224", "solver.method=dop853", "solver.rtol=1e-6",
                                  "solver.until=100.0"],
}
if SANITIZED:  # which takes minutes over it, and walks the same lines as with dopri5
    del KINDS["in a frozen basis, dop853"]


COMPARISON = """
[descent]
methods = ["gd", "heavy-ball", "adam", "sgd"]
rates = [0.02, 0.01]
batch = 5
modified = [2]
curvature = 5
eps = [0.05]
"""


def arguments(settings):
    return [word for setting in settings for word in ("--set", setting)]


@pytest.fixture(scope="module", params=list(KINDS))
def unbroken(request, tmp_path_factory):
    """A folder with the experiment, its settings, and the contents of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "small.toml").write_text(EXPERIMENT)
    settings = arguments(KINDS[request.param])
    began = time.monotonic()
    result = gradflow(folder, "simulate", "small.toml", "--quiet", "-o", "whole.h5", *settings)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return folder, settings, contents(folder / "whole.h5"), time.monotonic() - began


def run_for(folder, seconds, *words):
    """Starts the command and kills it after so long, unless it is done before. Whether it is."""
    process = subprocess.Popen([COMMAND, *words, "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    try:
        _, talk = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return False
    assert process.returncode == 0, talk
    return True


def test_a_killed_run_ends_with_the_bits_of_an_unbroken_one(unbroken):
    folder, settings, expected, seconds = unbroken
    draw, ended = random.Random(1), 0
    for trial in range(4):
        path = folder / f"killed{trial}.h5"
        kills = 0
        if not run_for(folder, draw.uniform(0, seconds), "simulate", "small.toml", "-o", path.name, *settings):
            kills += 1
            while path.exists() and not run_for(folder, draw.uniform(0.2, 1) * seconds, "resume", path.name):
                kills += 1
                assert kills < 50
        if path.exists():  # else it was killed before there was a file
            assert_same(path, expected)
            ended += 1
    assert ended > 0


def test_an_interrupted_run_goes_on_from_its_last_step(unbroken):
    folder, settings, expected, seconds = unbroken
    # Without checkpoints in time: what counts is the one at the interrupt.
    process = subprocess.Popen([COMMAND, "simulate", "small.toml", "-o", "interrupted.h5", *settings, "--set",
                                "save.checkpoint_seconds=1e6"], cwd=folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # it catches signals from here on
    time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    with h5py.File(folder / "interrupted.h5") as file:
        last, seal = file["steps/t"][-1], max(file[f"checkpoint/{slot}/seal"][0] for slot in "01")
        assert seal >= 1
    if process.returncode == 130:
        assert 0 < last
    result = gradflow(folder, "resume", "interrupted.h5")
    assert result.returncode == 0, result.stderr
    found = contents(folder / "interrupted.h5")
    for name, value in expected.items():
        assert name == "settings" or np.all(found[name] == value), name
    with h5py.File(folder / "interrupted.h5") as file:
        assert file.attrs["resumed"] == 1 or process.returncode == 0


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder with a comparison's experiment, and the contents of a file that nothing interrupted."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "small.toml").write_text(EXPERIMENT.replace("until = 1e5", "until = 20.0").replace("= 1e-9  ", "= 0.01  ") + COMPARISON)
    began = time.monotonic()
    result = gradflow(folder, "compare", "small.toml", "--quiet", "-o", "whole.h5")
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return folder, contents(folder / "whole.h5"), time.monotonic() - began


def test_a_killed_comparison_ends_with_the_bits_of_an_unbroken_one(compared):
    folder, expected, seconds = compared
    draw, ended = random.Random(2), 0
    for trial in range(4):
        path = folder / f"killed{trial}.h5"
        kills = 0
        if not run_for(folder, draw.uniform(0.2, 1) * seconds, "compare", "small.toml", "-o", path.name):
            kills += 1
            while path.exists() and not run_for(folder, draw.uniform(0.4, 1.1) * seconds, "resume", path.name):
                kills += 1
                assert kills < 50
        if path.exists():
            assert_same(path, expected)
            ended += 1
    assert ended > 0


def test_an_interrupted_comparison_goes_on(compared):
    folder, expected, seconds = compared
    for share in (0.2, 0.5):  # among the descents, and after them
        process = subprocess.Popen([COMMAND, "compare", "small.toml", "-o", "interrupted.h5", "--force"], cwd=folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        time.sleep(share * seconds)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=60)
        assert process.returncode in (0, 130), talk
        result = gradflow(folder, "resume", "interrupted.h5")
        assert result.returncode == 0, result.stderr
        assert_same(folder / "interrupted.h5", expected)
    again = gradflow(folder, "resume", "interrupted.h5")
    assert again.returncode == 0 and "is complete: there is nothing to go on with.\n" == again.stdout.split(" ", 1)[1]
    further = gradflow(folder, "resume", "interrupted.h5", "--until", "40")
    assert further.returncode == 2 and "cannot be extended" in further.stderr


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return tmp_path


def test_sigusr1_writes_a_checkpoint_and_goes_on(folder):
    words = ["simulate", "small.toml", "-o", "run.h5", *LONG]
    process = subprocess.Popen([COMMAND, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()
    process.send_signal(signal.SIGUSR1)
    for line in process.stderr:
        if "checkpoint" in line:
            break
    time.sleep(0.1)
    process.kill()
    process.communicate()
    with h5py.File(folder / "run.h5", "r", libver="latest", swmr=True) as file:
        seals = sorted(int(file[f"checkpoint/{slot}/seal"][0]) for slot in "01")
    assert seals == [0, 1]


def test_a_complete_run_is_left_alone_and_can_be_extended(folder):
    assert gradflow(folder, "simulate", "small.toml", "--quiet").returncode == 0
    before = (folder / "small.h5").read_bytes()
    again = gradflow(folder, "resume", "small.h5")
    assert again.returncode == 0 and "is complete" in again.stdout
    assert (folder / "small.h5").read_bytes() == before
    early = gradflow(folder, "resume", "small.h5", "--until", "10")
    assert early.returncode == 2 and "must lie after that, but is 10" in early.stderr

    old = contents(folder / "small.h5")
    with h5py.File(folder / "small.h5") as file:
        old_t = file["t"][:]
    # Killed on the way, and gone on with: the file knows then how far, if it has been replaced already.
    run_for(folder, 0.05, "resume", "small.h5", "--until", "1e9")
    with h5py.File(folder / "small.h5", "r", libver="latest", swmr=True) as file:
        further = [] if file.attrs["until"] == 1e9 else ["--until", "1e9"]
    extended = gradflow(folder, "resume", "small.h5", "--quiet", *further)
    assert extended.returncode == 0, extended.stderr
    straight = gradflow(folder, "simulate", "small.toml", "--quiet", "-o", "straight.h5", "--set", "solver.until=1e9")
    assert straight.returncode == 0
    with h5py.File(folder / "small.h5") as file, h5py.File(folder / "straight.h5") as other:
        assert file.attrs["until"] == 1e9 and file["t"][-1] == 1e9
        assert np.array_equal(file["t"][: len(old_t)], old_t)
        assert file["loss"][: len(old_t)].tobytes() == old["loss"]
        tau = np.log1p(file["t"][:] / file.attrs["t0"])
        # The spacing in log-time is kept; only the new end comes where it comes.
        assert np.allclose(np.diff(tau)[:-1], tau[1], rtol=1e-9)
        assert np.diff(tau)[-1] <= tau[1] * (1 + 1e-9)
        # Each is right to its tolerance, 1e-9 in the state.
        assert file["loss"][-1] == pytest.approx(other["loss"][-1], rel=1e-6)
        assert np.allclose(file["events/crossings/t"][:], other["events/crossings/t"][:], rtol=1e-6)
        assert np.all(file["events/crossings/certain"][:] >= 0)


def test_a_budget_that_ended_the_run_is_given_again(folder):
    unbroken = gradflow(folder, "simulate", "small.toml", "--quiet", "-o", "whole.h5")
    assert unbroken.returncode == 0
    ended = gradflow(folder, "simulate", "small.toml", "--quiet", "--set", "solver.max_steps=60")
    assert ended.returncode == 1 and "budget of accepted steps" in ended.stderr and "gradflow resume small.h5" in ended.stderr
    codes = []
    while not codes or codes[-1] == 1:
        codes.append(gradflow(folder, "resume", "small.h5", "--quiet").returncode)
        assert len(codes) < 20
    assert codes[-1] == 0 and len(codes) > 1
    with h5py.File(folder / "small.h5") as file, h5py.File(folder / "whole.h5") as whole:
        for name in ("t", "loss", "steps/t", "steps/error_ratio", "events/crossings/t", "events/crossings/slope"):
            assert np.array_equal(file[name], whole[name]), name


def test_two_writers_never_meet(folder):
    process = subprocess.Popen([COMMAND, "simulate", "small.toml", *LONG], cwd=folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    while not (folder / "small.h5").exists():
        time.sleep(0.005)
    second = gradflow(folder, "resume", "small.h5")
    forced = gradflow(folder, "simulate", "small.toml", "--force", "--quiet")
    running = process.poll() is None
    process.kill()
    process.communicate()
    assert running, "it must still run, or this says nothing"
    for refused in (second, forced):
        assert refused.returncode == 3 and f"another process ({process.pid})" in refused.stderr, refused.stderr
    # The lock of a process that was killed means nothing.
    assert gradflow(folder, "resume", "small.h5", "--quiet").returncode == 0
    assert [name for name in os.listdir(folder) if name.endswith((".lock", ".part"))] == []


def test_a_damaged_checkpoint_is_not_trusted(folder):
    assert gradflow(folder, "simulate", "small.toml", "--quiet", "--set", "solver.max_steps=60").returncode == 1
    expected = contents(folder / "small.h5")
    with h5py.File(folder / "small.h5", "r+", libver="latest") as file:
        newest = max("01", key=lambda slot: file[f"checkpoint/{slot}/seal"][0])
        older = file["checkpoint/" + "10"[int(newest)]]
        assert older["seal"][0] == file[f"checkpoint/{newest}/seal"][0] - 1
        reals = file[f"checkpoint/{newest}/reals"]
        reals[10] = np.nextafter(reals[10], 2.0)  # a single bit
    assert gradflow(folder, "resume", "small.h5", "--quiet").returncode == 1  # the budget is used up again
    found = contents(folder / "small.h5")
    rows = len(np.frombuffer(expected["steps/t"]))
    assert np.array_equal(np.frombuffer(found["steps/t"])[:rows], np.frombuffer(expected["steps/t"]))
    with h5py.File(folder / "small.h5", "r+", libver="latest") as file:
        for slot in "01":
            file[f"checkpoint/{slot}/seal"][1] += 1
    assert gradflow(folder, "resume", "small.h5", "--quiet").returncode == 1  # from the start, then
    with h5py.File(folder / "small.h5") as file:
        assert len(file["steps/t"]) == 60
