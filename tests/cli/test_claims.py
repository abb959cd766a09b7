"""The paper's claims in `gradflow phases`: every number against tests/reference/claims.py, which calculates it on its
own; and the report as scripts and papers use it."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
import claims  # noqa: E402

COMMAND = os.environ.get("GRADFLOW_COMMAND", "build/bin/gradflow")

# A small start with fillers all distinct: both phases happen, and most claims hold.
THEORY = """
seed = 3
[task]
samples = 12
length = 4
words = 27
fillers = "distinct"
[model]
width = 48
hidden = 16
start = { kind = "gaussian", W = 0.15, W_V = 0.02, W_K = 0.02, W_Q = 0.02 }
[solver]
rtol = 1e-10
atol = 1e-13
until = 200.0
[save]
records = 20
"""
# A Kaiming start with words in common: several claims fail.
KAIMING = """
seed = 2
[task]
samples = 12
length = 5
words = 20
test_samples = 30
[model]
width = 16
hidden = 24
[flow]
formulation = "full"
rates = { W_K = 2, W_V = 0.5 }
[solver]
method = "fehlberg78"
rtol = 1e-10
atol = 1e-12
until = 50.0
[save]
records = 20
"""
# No weights at all; Phase 2 ends before the run.
LIMIT = """
[task]
samples = 12
length = 3
words = 16
[model]
width = 50
hidden = 10
start = { kind = "limit", W = 0.3, W_V = 0.1, W_K = 0.2, W_Q = 0.3 }
[flow]
formulation = "coupled"
[solver]
rtol = 1e-10
atol = 1e-13
until = 300.0
[phases]
T2 = 100.0
[save]
records = 20
"""
EXPERIMENTS = {"theory": THEORY, "kaiming": KAIMING, "limit": LIMIT}


def gradflow(*arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def simulate(folder, name, experiment):
    (folder / f"{name}.toml").write_text(experiment)
    made = gradflow("simulate", folder / f"{name}.toml", "-o", folder / f"{name}.h5", "--quiet")
    assert made.returncode == 0, made.stderr
    return folder / f"{name}.h5"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    return {name: simulate(folder, name, text) for name, text in EXPERIMENTS.items()}


def report(path, *options):
    told = gradflow("phases", path, "--json", "--quiet", *options)
    assert told.returncode == 0 and told.stderr == "", told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_number_is_the_references(runs, name):
    document = report(runs[name])
    expected = claims.Claims(runs[name])
    found, worst = claims.differences(document, expected.found)
    assert not found, "\n".join(found)
    # The reference leaves out what has no number: embeddings by construction, and fresh samples where there are none.
    left_out = {claim["name"] for claim in document["claims"]} - set(expected.found)
    assert left_out == {"definition-2.1-embeddings"} | ({"theorem-3.3-test"} if name != "kaiming" else set())
    assert 0 < worst <= 1e-6


def test_the_constants_decide(runs):
    options = {"--small": 0.003, "--start": 0.05, "--same-order": 2, "--C": 0.02, "--c": 1.5}
    document = report(runs["theory"], *(str(x) for pair in options.items() for x in pair))
    constants = {"small": 0.003, "start": 0.05, "same_order": 2, "C": 0.02, "c": 1.5}
    assert document["claim_constants"] == constants
    found, _ = claims.differences(document, claims.Claims(runs["theory"], **constants).found)
    assert not found, "\n".join(found)
    plain = {claim["name"]: claim["verdict"] for claim in report(runs["theory"])["claims"]}
    assert plain != {claim["name"]: claim["verdict"] for claim in document["claims"]}


def test_a_claim_has_all_its_members(runs):
    verdicts = set()
    for path in runs.values():
        for claim in report(path)["claims"]:
            assert list(claim) == ["name", "source", "statement", "measured", "unit", "at", "constant",
                                   "constant_name", "verdict", "from", "fails_on", "note", "values"]
            verdicts.add(claim["verdict"])
            assert (claim["from"] is not None) == (claim["verdict"] == "holds from t on"), claim
            assert (claim["constant"] is None) == (claim["constant_name"] is None), claim
            assert claim["verdict"] != "not applicable" or claim["note"], claim
            assert claim["verdict"] != "holds" or claim["fails_on"] == [], claim
    assert verdicts == {"holds", "fails", "holds from t on", "not applicable"}


def test_what_the_run_lacks_is_said_plainly(runs):
    text = gradflow("phases", runs["kaiming"]).stdout
    assert "for this run, so that the theorems do not speak of it" in " ".join(text.split())
    assert "m >= m1" in text and "every filler has a word of its own" in text
    assert max(map(len, text[text.index("Claims of the paper"):].splitlines())) <= 120


def test_markdown_is_a_table_of_all_claims(runs):
    told = gradflow("phases", runs["theory"], "--markdown").stdout
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    assert len(rows) == len(report(runs["theory"])["claims"]) + 2  # and two headers
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}


def test_without_claims_nothing_is_solved(runs):
    document = report(runs["theory"], "--no-claims")
    assert document["claims"] == [] and document["T1"] is not None
    assert "Claims" not in gradflow("phases", runs["theory"], "--no-claims").stdout
    assert gradflow("phases", runs["theory"], "--no-claims", "--markdown").returncode == 2
    assert gradflow("phases", runs["theory"], "--small", "-1").returncode == 2


def test_another_task_has_none(tmp_path):
    text = THEORY.replace('fillers = "distinct"', "targets = [1, 2]")  # beside which a common word would be named
    path = simulate(tmp_path, "other", text)
    assert {(claim["verdict"], claim["note"]) for claim in report(path)["claims"]} == {
        ("not applicable", "the task is not the paper's: the task has no common word")}
    assert "Not applicable: the task is not the paper's" in gradflow("phases", path).stdout


def test_a_run_that_was_killed_is_judged_as_things_stand(runs, tmp_path):
    """Its file tells neither outcome nor verdicts. Here `aligned` holds from the start, and no crossing tells of it."""
    path = shutil.copy(runs["kaiming"], tmp_path / "killed.h5")
    with h5py.File(path, "r+") as file:
        file["run/outcome"][()] = -1
        for name in ("applicable", "true_at_start", "true_at_end", "ups", "downs", "verdict"):
            file["events/summary"][name][:] = -1
    whole, killed = report(runs["kaiming"]), report(path)
    assert whole["finished"] and not killed["finished"]
    aligned = next(event for event in killed["events"] if event["name"] == "aligned")
    assert aligned["up"] == aligned["down"] == []
    assert killed["T1"] == whole["T1"] and killed["claims"] == whole["claims"]
    assert "as things stand" in gradflow("phases", path).stdout


def test_a_file_that_lacks_what_claims_need_still_tells_its_events(runs, tmp_path):
    path = shutil.copy(runs["kaiming"], tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as file:
        del file["start/W_V"]
    refused = gradflow("phases", path)
    assert refused.returncode == 3 and "W_V" in refused.stderr and "--no-claims" in refused.stderr
    assert report(path, "--no-claims")["T1"] is not None
