"""The command as tests start it, and all that a file of its holds."""
import os
import resource
import subprocess
from pathlib import Path

import h5py
import numpy as np

COMMAND = os.environ.get("GRADFLOW_COMMAND", "build/bin/gradflow")

# The address sanitizer takes 16 TiB of address space, keeps what is freed, and makes everything some times slower.
SANITIZED = b"__asan_init" in Path(COMMAND).read_bytes()

# Makes a run long enough to be met by anything on the way: most of a second of steps.
SHORT_STEPS = ["--set", "solver.max_step=" + ("1e-2" if SANITIZED else "1e-3")]

# A small task and its start, for tests that add how it is solved.
SMALL_PROBLEM = """
seed = 3
[task]
samples = 12
length = 5
words = 20
[model]
width = 24
hidden = 16
[model.start]
kind = "gaussian"
W = 0.4
W_V = 0.3
W_K = 0.4
W_Q = 0.4
"""


def gradflow(folder, *words, **more):
    """The finished process; `more` is for subprocess.run."""
    return subprocess.run([COMMAND, *words], cwd=folder, capture_output=True, text=True, **{"timeout": 300, **more})


def within(bytes):
    """For preexec_fn: so much address space and no more, but for a sanitized command."""
    return None if SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes, bytes))


def contents(path):
    """Every number that must not depend on how the run came about, as bytes."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and "checkpoint" not in name and "wall_seconds" not in name:
            found[name] = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()].tobytes()

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        found["settings"] = file.attrs["settings"]
    # A message tells how long it took.
    return {name: value for name, value in found.items() if not name.endswith("run/message")}


def assert_same(path, expected):
    """The file's contents are these."""
    found = contents(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.all(found[name] == value), name
