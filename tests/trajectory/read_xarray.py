"""read_xarray.py FILE: opens a closed run as it is, every group, and checks dimensions, coordinates and units."""
import sys

import h5py
import numpy as np
import xarray as xr

path = sys.argv[1]

root = xr.open_dataset(path)
assert dict(root.sizes) == {"t": 300, "word": 3, "word2": 3, "key": 3, "query": 3, "matrix": 4}, root.sizes
assert set(root.coords) == set(root.sizes), root.coords
assert root.G.dims == ("t", "word") and root.B.dims == ("t", "key", "query") and root.Gamma.dims == ("t", "word", "word2")
assert list(root.word.values) == ["µ_1", "mu_2", "mu_3"], root.word.values
assert root.t.attrs["units"] == "1" and root.t.attrs["long_name"] == "flow time", root.t.attrs
assert root.G.attrs["units"] == "1" and root.G.attrs["long_name"] == "value of a word", root.G.attrs
assert root.attrs["schema_version"] == 1 and root.attrs["settings"].endswith(" µ_1"), root.attrs
assert float(root.G.sel(word="mu_2").sel(t=2.4, method="nearest")) == 1000 * 2.5 + 20 + 1
assert float(root.B.sel(t=1, key="mu_2", query="mu_3")) == 1000 + 20 + 3 + 5

states = xr.open_dataset(path, group="states")
assert states.W.dims == ("t", "hidden", "width") and states.W_V.dims == ("t", "width", "word"), states
assert list(states.t.values) == [0, 7] and states.sizes["word"] == 8
start = xr.open_dataset(path, group="start")
assert start.W.dims == ("hidden", "width") and "t" not in start.sizes, start
task = xr.open_dataset(path, group="task")
assert task.tokens.dims == ("sample", "position") and task.tokens.dtype == np.int64, task
assert list(task["class"].values) == ["I1", "I2"] and task.attrs["words"] == 8

summary = xr.open_dataset(path, group="events/summary")
assert list(summary.event.values) == ["classified", "loss_below(0.1)"], summary
assert int(summary.ups.sel(event="loss_below(0.1)")) == 2
assert summary.verdict.attrs["flag_meanings"].split()[1 + 2] == "once_and_for_good"
crossings = xr.open_dataset(path, group="events/crossings")
assert list(crossings.event.values) == [1, 0] and crossings.t_error.dims == ("t",), crossings
steps = xr.open_dataset(path, group="steps")
assert steps.clock_step.dims == ("t",) and steps.sizes["t"] == 5, steps
run = xr.open_dataset(path, group="run")
assert int(run.counts.sel(purpose="evaluations")) == 1000, run
assert run.message.item().decode() == "stopped by loss_below(0.1)", run.message
assert run.outcome.attrs["flag_meanings"].split()[list(run.outcome.attrs["flag_values"]).index(int(run.outcome))] == "stopped_by_event"

# A chunk that is written again as it fills up must not have a checksum: a kill in the middle would lose its committed rows.
with h5py.File(path, "r") as file:
    growing = [file[name] for name in ("t", "q0", "G", "steps/t", "steps/clock_step", "events/crossings/t_error")]
    assert not any(data.fletcher32 or data.compression or data.shuffle for data in growing)
    assert file["states/W"].fletcher32 and file["states/W"].chunks == (1, 16, 32)
