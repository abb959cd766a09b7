"""read_comparison.py COMPARISON RUN: opens a closed comparison as it is, every group, in xarray; and checks that each
of its runs is laid out as the root of the run's own file."""
import sys

import h5py
import numpy as np
import xarray as xr

path, run_path = sys.argv[1:]


def layout(top):
    """Everything below `top` and on it but its values: names, types, shapes, chunks, filters, scales, attributes."""
    found = {}
    prefix = top.name.rstrip("/") + "/"

    def describe(name, item):
        attributes = {k: str(v) for k, v in item.attrs.items() if k not in ("DIMENSION_LIST", "REFERENCE_LIST")}
        if isinstance(item, h5py.Group):
            found[name] = (list(item), attributes)
            return
        scales = [scale.name.removeprefix(prefix) for axis in item.dims for scale in axis.values()]
        missing = str(item.fillvalue) if item.dtype.kind in "fi" else ""  # of a text, h5py crashes
        shape = item.shape[1:], item.maxshape, item.chunks
        found[name] = (item.dtype, shape, item.fletcher32, missing, scales, attributes)

    top.visititems(describe)
    return found


with h5py.File(path) as comparison, h5py.File(run_path) as run:
    assert set(comparison) == {"flow", "descents", "comparison", "fits"}, list(comparison)
    expected = layout(run)
    assert len(expected) > 60, "too little to compare"
    for group in ("flow", "descents/0", "descents/1", "descents/2"):
        assert set(comparison[group]) == set(run), group
        found = layout(comparison[group])
        assert found.keys() == expected.keys(), group
        for name in expected:
            assert found[name] == expected[name], f"{group}/{name}: {found[name]} is not {expected[name]}"
    for name in ("t", "G", "states/W"):
        data = comparison["descents/1/" + name]
        assert all(scale.name.startswith("/descents/1/") for axis in data.dims for scale in axis.values()), name
    assert "rate" not in comparison.attrs and comparison.attrs["seed"] == 1

for i in range(3):
    descent = xr.open_dataset(path, group=f"descents/{i}", engine="h5netcdf")
    assert dict(descent.sizes) == {"t": 300, "word": 3, "word2": 3, "key": 3, "query": 3, "matrix": 4}, descent.sizes
    assert set(descent.coords) == set(descent.sizes), descent.coords
    assert descent.B.dims == ("t", "key", "query") and list(descent.word.values) == ["µ_1", "mu_2", "mu_3"]
    assert descent.attrs["method"] == "gd" and descent.attrs["rate"] == 0.1 * (i + 1) and descent.attrs["beta"] == 0
    assert np.array_equal(descent.t, 0.25 * (i + 2) * np.arange(300)), "another run's times"
    assert float(descent.G.sel(word="mu_2").isel(t=10)) == 1000 * 2.5 * (i + 2) + 20 + 1
    states = xr.open_dataset(path, group=f"descents/{i}/states", engine="h5netcdf")
    assert states.W.dims == ("t", "hidden", "width") and list(states.t.values) == [i + 1], states
    steps = xr.open_dataset(path, group=f"descents/{i}/steps", engine="h5netcdf")
    assert steps.clock_step.dims == ("t",) and steps.sizes["t"] == 300, steps
flow = xr.open_dataset(path, group="flow", engine="h5netcdf")
assert np.array_equal(flow.t, 0.25 * np.arange(300)) and flow.attrs["settings"].endswith(" µ_1"), flow
distances = xr.open_dataset(path, group="comparison", engine="h5netcdf")
assert distances.distance.dims == ("t", "descent") and distances.distance_matrix.dims == ("t", "descent", "matrix")
assert distances.distance.attrs["source"] == "at equal flow times", distances.distance.attrs
assert float(distances.distance.sel(t=2.5, descent="gd η=2e-1")) == 10 * 2.5 + 1
assert float(distances.distance_matrix.sel(t=2.5, descent="gd η=2e-1", matrix="W_K")) == 10 * 2.5 + 3 + 4 + 2
fits = xr.open_dataset(path, group="fits", engine="h5netcdf")
assert fits.order.dims == ("rule", "t_fit") and list(fits.order.sel(rule="gd").values) == [1, 2], fits
assert np.isnan(float(fits.constant)), "nobody has given it"
assert float(fits.smallest_rate[0]) == 0.1 and int(fits.rates[0]) == 3 and fits.attrs["model"] == "c rate^p", fits
