"""`gradflow certify` as a script uses it: exit codes and JSON, on true runs and on runs whose file was changed."""
import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from command import gradflow  # noqa: E402

EXPERIMENT = """
[task]
samples = 12
length = 5
words = 20
[model]
width = 16
hidden = 8
[solver]
rtol = 1e-6
until = 50.0
[save]
records = 20
states = 3
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certify")
    (folder / "run.toml").write_text(EXPERIMENT)
    made = gradflow(folder, "simulate", "run.toml", "--quiet")
    assert made.returncode == 0, made.stderr
    return folder / "run.h5"


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copy(run, tmp_path / "run.h5")


def certificate(path, *more):
    result = gradflow(path.parent, "certify", path.name, "--json", "--quiet", *more)
    assert result.stderr == ""
    return result.returncode, json.loads(result.stdout)  # one document and nothing else


def test_a_true_run_is_certified(run):
    code, document = certificate(run)
    assert (code, document["holds"]) == (0, True)
    assert document["run"] == {"method": "dopri5", "rtol": 1e-6, "atol": 1e-10}
    assert document["reference"]["method"] == "fehlberg78"
    assert document["reference"]["rtol"] == pytest.approx(1e-9)
    with h5py.File(run) as file:
        assert document["t"] == list(file["t"])
        assert document["state_t"] == list(file["states/t"])
        reported = sorted(c["t"] for e in document["events"] for c in e["crossings"])
        assert reported == list(file["events/crossings/t"])
        bars = {c["t"]: c["bar"] for e in document["events"] for c in e["crossings"]}
        assert [bars[t] for t in file["events/crossings/t"]] == list(file["events/crossings/t_error"])
    for quantity in document["observables"]:
        assert len(quantity["error"]) == 20
    assert {q["name"] for q in document["states"]} == {"W", "W_V", "W_K", "W_Q"}
    assert document["order"] == []


def test_text_says_the_same(run):
    result = gradflow(run.parent, "certify", run.name, "--quiet")
    assert result.returncode == 0 and result.stderr == ""
    for part in ("reference: fehlberg78", "classified", "true error", "W_Q", "margin_min", "energy_defect", "crossings hold."):
        assert part in result.stdout


def test_order_prints_a_ladder(run):
    code, document = certificate(run, "--order")
    assert code == 0
    methods = [r["method"] for r in document["order"][::5]]
    assert methods == ["dopri5", "dop853", "cash-karp54", "fehlberg78", "rkc2", "rock4"]
    for method in range(len(methods)):
        rungs = document["order"][5 * method:5 * method + 5]
        assert np.all(np.diff([r["rtol"] for r in rungs]) < 0)
        assert rungs[-1]["state_error"] < 1e-2 * rungs[0]["state_error"]
        assert rungs[-1]["evaluations"] > rungs[0]["evaluations"]


def test_a_bar_that_is_too_short_is_found(copy):
    with h5py.File(copy, "r+") as file:
        t = file["events/crossings/t"][0]
        file["events/crossings/t_error"][0] = 1e-300
    code, document = certificate(copy)
    assert (code, document["holds"]) == (4, False)
    wrong = [c for e in document["events"] for c in e["crossings"] if not c["holds"]]
    assert [c["t"] for c in wrong] == [t]
    text = gradflow(copy.parent, "certify", copy.name)
    assert text.returncode == 4
    assert "BAR TOO SHORT" in text.stdout and "NOT certified" in text.stdout


def test_a_crossing_in_the_wrong_place_is_found(copy):
    with h5py.File(copy, "r+") as file:
        file["events/crossings/t"][-1] *= 1.01
    assert certificate(copy)[0] == 4


def test_crossings_that_differ_in_number_are_found(copy):
    with h5py.File(copy, "r+") as file:  # into the condition becomes out of it: one invented, one missing
        file["events/crossings/direction"][0] *= -1
    code, document = certificate(copy)
    assert code == 4
    assert sum(len(e["missing"]) for e in document["events"]) == 1
    invented = [c for e in document["events"] for c in e["crossings"] if c["error"] is None]
    assert len(invented) == 1
    assert "MISSING" in gradflow(copy.parent, "certify", copy.name).stdout


def test_a_changed_state_and_a_changed_observable_show(copy):
    with h5py.File(copy, "r+") as file:
        file["states/W_K"][1, 2, 3] += 1e-3
        file["loss"][7] += 1e-2
    _, document = certificate(copy)
    errors = {q["name"]: q for q in document["states"] + document["observables"]}
    assert errors["W_K"]["error"][1] == pytest.approx(1e-3, rel=1e-2)
    assert errors["loss"]["error"][7] == pytest.approx(1e-2, rel=1e-2)
    assert errors["loss"]["largest"] == errors["loss"]["error"][7]


def test_the_file_alone_is_enough(run, tmp_path):
    """Task and start come from the run, not from what its settings name."""
    moved = tmp_path / "start.h5"
    shutil.copy(run, moved)
    (tmp_path / "again.toml").write_text(f"[task]\nkind = 'file'\npath = '{moved}'\n[model.start]\nkind = 'file'\n"
                                         f"path = '{moved}'\n[solver]\nuntil = 20.0\nrtol = 1e-6\n")
    assert gradflow(tmp_path, "simulate", "again.toml", "--quiet").returncode == 0
    moved.unlink()
    assert certificate(tmp_path / "again.h5")[0] == 0


def test_a_comparison_is_no_run(copy):
    with h5py.File(copy, "r+") as file:
        file.create_group("comparison")
    result = gradflow(copy.parent, "certify", copy.name)
    assert result.returncode == 2
    assert "is a comparison" in result.stderr and result.stdout == ""


def test_what_is_no_run_at_all(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    assert gradflow(tmp_path, "certify", "text.h5").returncode == 3
    assert gradflow(tmp_path, "certify", "absent.h5").returncode == 3
    (tmp_path / "e.toml").write_text(EXPERIMENT)
    result = gradflow(tmp_path, "certify", "e.toml")
    assert result.returncode == 2 and "is an experiment" in result.stderr
    assert gradflow(tmp_path, "certify").returncode == 2
