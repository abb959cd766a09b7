"""`gradflow compare` as a script uses it, and its file in h5py and xarray."""
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parent))
from command import COMMAND, gradflow  # noqa: E402

EXPERIMENT = """
[task]
samples = 12
length = 5
words = 20
[model]
width = 16
hidden = 8
[solver]
rtol = 1e-9
until = 20.0
[save]
records = 30
[descent]
methods = ["gd", "adam"]
rates = [0.04, 0.02, 0.01]
modified = [2]
curvature = 7
eps = [0.01]
"""
LABELS = ["gd 0.04", "gd 0.02", "gd 0.01", "adam 0.04", "adam 0.02", "adam 0.01"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The comparison's file, and the document that was printed."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "small.toml").write_text(EXPERIMENT)
    result = gradflow(folder, "compare", "small.toml", "--quiet", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    return folder / "small-compare.h5", json.loads(result.stdout)


def test_document_says_what_the_file_holds(made):
    path, document = made
    assert document["file"] == path.name
    assert [d["label"] for d in document["descents"]] == LABELS
    with h5py.File(path) as file:
        distance = file["comparison/distance"][:]
        for i, descent in enumerate(document["descents"]):
            group = file[f"descents/{i}"]
            assert descent["rate"] == group.attrs["rate"]
            assert descent["statistics"]["gradients"] == descent["statistics"]["steps"] == round(20 / descent["rate"])
            assert descent["largest_distance"] == distance[:, i].max()
            assert descent["distance_end"] == distance[-1, i]
            assert descent["loss_end"] == group["loss"][-1]
            assert descent["t_is"] == ("flow time" if i < 3 else "steps x rate")
        assert document["flow"]["loss_end"] == file["flow/loss"][-1]
        counts = document["flow"]["statistics"]
        assert document["flow"]["evaluations"] == sum(v for k, v in counts.items() if k.startswith("evaluations_"))
        orders = {(f["method"], f["reference"]): f for f in document["fits"]}
        assert orders["gd", "flow"]["order"] == file["fits/order"][0, 0]
        assert orders["gd", "order 2"]["order_end"] == file["comparison/order"][-1, 0, 1]
    assert orders["gd", "flow"]["order"] == pytest.approx(1, abs=0.15)
    assert orders["gd", "order 2"]["order"] == pytest.approx(2, abs=0.15)
    assert orders["gd", "flow"]["rates"] == 3 and orders["gd", "order 3"]["order"] is None
    assert orders["adam", "flow"] == {"method": "adam", "reference": "flow", "order": None, "order_error": None,
                                      "order_confidence": None, "order_end": None, "order_end_error": None, "rates": 0}


def test_rates_and_equal_losses_are_reported(made):
    path, document = made
    with h5py.File(path) as file:
        curvature = document["curvature"]
        assert curvature["sharpness"] == list(file["curvature/sharpness"]) and len(curvature["t"]) == 7
        assert curvature["eta_sharpness_start"][:3] == [d["rate"] * curvature["sharpness"][0] for d in document["descents"][:3]]
        assert curvature["eta_sharpness_start"][3:] == [None] * 3 == curvature["stability_limit"][3:]
        request = document["learning_rates"][0]
        gd = request["methods"]["gd"]
        assert request["eps"] == 0.01 and gd["largest"] < gd["too_large"] < 1.05 * gd["largest"]
        assert gd["largest_distance"] <= 0.01 < gd["too_large_distance"] and request["methods"]["adam"]["trials"] == 0
        assert 10 ** request["log10_estimate"] < gd["largest"]
        for i, descent in enumerate(document["descents"]):
            last = descent["equal_loss"]
            if i < 3:
                assert last is None
                continue
            row = list(file["comparison/t"]).index(last["flow_t"])
            assert last["distance"] == file["comparison/equal_loss_distance"][row, i]
            assert last["t"] == file["comparison/equal_loss_t"][row, i]
    text = gradflow(path.parent, "show", path.name).stdout
    assert "eta * sharpness" in text and "largest rate found" in text and "at equal loss" in text
    assert "no bound" in text


def test_events_stand_side_by_side(made):
    path, document = made
    event = next(e for e in document["events"] if e["name"] == "loss_below(1e-1)")
    last = event["crossings"][-1]
    with h5py.File(path) as file:
        flow_t = file["flow/events/crossings/t"][:]
        assert last["flow"]["t"] in flow_t and last["becomes"] is True
        for i, own in enumerate(last["descents"]):
            assert own["t"] in file[f"descents/{i}/events/crossings/t"][:]
            assert own["difference"] == own["t"] - last["flow"]["t"]
            assert own["error"] == pytest.approx(document["descents"][i]["rate"] / 2)
            assert own["step_before"] * document["descents"][i]["rate"] < own["t"] <= own["step_after"] * document["descents"][i]["rate"] * (1 + 1e-12)
            assert own["step_after"] == own["step_before"] + 1
            if i < 3:  # gradient descent is late or early by a few steps
                assert abs(own["difference"]) < 3 * document["descents"][i]["rate"]


def test_opens_in_xarray_as_it_is(made):
    path, _ = made
    distances = xr.open_dataset(path, group="comparison", engine="h5netcdf")
    assert list(distances.descent.values) == LABELS
    assert distances.distance_matrix.dims == ("t", "descent", "matrix")
    assert set(distances.data_vars) == {
        "descent_t", "distance", "distance_matrix", "distance_logits", "difference_loss", "distance_G",
        "difference_attention", "distance_order2", "distance_order3", "equal_loss_t", "equal_loss_distance",
        "equal_loss_distance_logits", "equal_loss_distance_G", "equal_loss_difference_attention", "order", "order_error"}
    assert float(distances.distance.isel(t=0, descent=0)) == 0
    assert bool(distances.distance_order3.isnull().all())
    assert bool(distances.distance_order2.sel(descent=LABELS[3:]).isnull().all())
    assert bool((distances.distance_order2.sel(descent="gd 0.01") < 0.1 * distances.distance.sel(descent="gd 0.01"))[5:].all())
    loss = xr.open_dataset(path, group="descents/1", engine="h5netcdf").loss
    flow = xr.open_dataset(path, group="flow", engine="h5netcdf").loss
    # Where the flow has a record of its own: at the start and the end.
    for at in (0, -1):
        assert float(loss[at] - flow[at]) == pytest.approx(float(distances.difference_loss[at, 1]), abs=1e-14)
    fits = xr.open_dataset(path, group="fits", engine="h5netcdf")
    assert fits.order.dims == ("method", "reference")
    assert distances.order.dims == ("t", "method", "reference")
    rates = xr.open_dataset(path, group="learning_rate", engine="h5netcdf")
    assert rates.largest.dims == ("request", "method") and float(rates.eps[0]) == 0.01
    assert xr.open_dataset(path, group="curvature", engine="h5netcdf").sharpness.dims == ("sample",)
    with h5py.File(path) as file:
        assert file["descents/0"].attrs["method"] == "gd" and file["flow"].attrs["method"] == "dopri5"
        assert set(file["descents/0"]) == set(file["flow"])
        assert np.array_equal(file["descents/0/start/W_V"], file["flow/start/W_V"])


def test_show_and_phases_read_it(made):
    path, document = made
    shown = gradflow(path.parent, "show", path.name, "--json")
    assert shown.returncode == 0
    whole = json.loads(shown.stdout)
    assert whole["comparison"] == {k: v for k, v in document.items() if k != "file"}
    assert whole["settings"]["descent"]["modified"] == [2]
    text = gradflow(path.parent, "show", path.name).stdout
    assert "Settings" in text and "gd 0.04" in text and "adam 0.01 *" in text
    flow = json.loads(gradflow(path.parent, "phases", path.name, "--json").stdout)
    second = json.loads(gradflow(path.parent, "phases", path.name, "--json", "--descent", "1").stdout)
    assert len(flow["claims"]) > 40 and {c["verdict"] for c in second["claims"]} == {"not applicable"}
    assert gradflow(path.parent, "simulate", "small.toml", "--quiet", "-o", "alone.h5").returncode == 0
    alone = json.loads(gradflow(path.parent, "phases", "alone.h5", "--json").stdout)
    assert flow["claims"] == alone["claims"] and any(c["verdict"] == "holds" for c in alone["claims"])
    event = next(i for i, e in enumerate(flow["events"]) if e["name"] == "loss_below(1e-1)")
    sides = next(e for e in document["events"] if e["name"] == "loss_below(1e-1)")["crossings"][-1]
    assert flow["events"][event]["up"][-1]["t"] == sides["flow"]["t"]
    assert second["events"][event]["up"][-1]["t"] == sides["descents"][1]["t"]
    assert second["finished"] is True
    last = second["events"][event]["up"][-1]
    assert last["step_before"] == sides["descents"][1]["step_before"] and "step_before" not in flow["events"][event]["up"][-1]
    assert "the bars are half a step" in gradflow(path.parent, "phases", path.name, "--descent", "0").stdout
    missing = gradflow(path.parent, "phases", path.name, "--descent", "6")
    assert missing.returncode == 2 and "it has 0 (gd 0.04), 1 (gd 0.02)" in missing.stderr


def test_existing_files_and_wrong_settings(made):
    path, _ = made
    before = path.read_bytes()
    refused = gradflow(path.parent, "compare", "small.toml", "--quiet")
    assert refused.returncode == 3 and "--force" in refused.stderr
    assert path.read_bytes() == before
    forced = gradflow(path.parent, "compare", "small.toml", "-o", "other.h5", "--set", "descent.modified=[]",
                      "--set", "descent.methods=['gd']")
    assert forced.returncode == 0 and "order of the largest distance" in forced.stdout and "gd 0.04: 500 steps" in forced.stderr
    again = gradflow(path.parent, "compare", "small.toml", "-o", "other.h5", "--force", "--quiet",
                     "--set", "descent.rates=[0.04]", "--set", "descent.modified=[]")
    assert again.returncode == 0 and "No order can be fitted" in again.stdout
    with h5py.File(path.parent / "other.h5") as file:
        assert file["comparison/distance"].shape[1] == 2
    coupled = gradflow(path.parent, "compare", "small.toml", "-o", "c.h5", "--set", "flow.formulation=coupled")
    assert coupled.returncode == 2 and "inner products only" in coupled.stderr
    assert not (path.parent / "c.h5").exists()


def test_an_interrupt_keeps_what_was_computed(tmp_path):
    (tmp_path / "long.toml").write_text(EXPERIMENT.replace("[0.04, 0.02, 0.01]", "[1e-5]").replace('"gd", "adam"', '"gd"'))
    process = subprocess.Popen([COMMAND, "compare", "long.toml", "-o", "long.h5"], cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:  # the descents go along with the flow, so a crossing says that both have begun
        if "becomes true" in line:
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    with h5py.File(tmp_path / "long.h5") as file:
        assert file["comparison/t"].shape[0] > 1
        assert 0 < file["descents/0/t"][-1] < 20
    shown = gradflow(tmp_path, "show", "long.h5", "--json")
    assert json.loads(shown.stdout)["comparison"]["descents"][0]["outcome"] == "interrupted"
