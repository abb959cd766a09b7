"""Small runs for the tests of the Python module gradflow, made by the real command."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
if str(NOTEBOOKS) not in sys.path:
    sys.path.insert(0, str(NOTEBOOKS))
os.environ.setdefault("MPLBACKEND", "Agg")

import gradflow  # noqa: E402

SMALL = """
[task]
samples = 12
length = 5
words = 20
[model]
width = 16
hidden = 8
[solver]
until = 50.0
[save]
records = 60
states = 3
[descent]
methods = ["gd"]
rates = [0.04, 0.02]
modified = [2]
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradflow")
    (folder / "small.toml").write_text(SMALL)
    return folder


@pytest.fixture(scope="session")
def run_file(folder):
    return gradflow.run(folder / "small.toml", folder / "run.h5", seed=1)


@pytest.fixture(scope="session")
def comparison_file(folder):
    return gradflow.compare(folder / "small.toml", folder / "comparison.h5", solver__until=5.0)


@pytest.fixture
def slow(folder, tmp_path):
    """A run that needs minutes, being written at tmp_path/slow.h5; killed at the end of the test."""
    writer = subprocess.Popen([gradflow.command(), "simulate", str(folder / "small.toml"), "-o", str(tmp_path / "slow.h5"),
                               "--quiet", "--set", "save.records=1000000", "--set", "solver.max_step=1e-4",
                               "--set", "solver.error_bars=false"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield writer, tmp_path / "slow.h5"
    writer.kill()
    writer.communicate()
