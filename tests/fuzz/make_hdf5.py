"""make_hdf5.py CORPUS: the HDF5 files of the fuzz corpus, small and each of both layouts: the one that h5py writes by
default, whose metadata bear no checksums, and the newest, whose metadata do."""
import os
import sys

import h5py
import numpy as np

LAYOUTS = {"old": "earliest", "new": "latest"}


def write(folder, name, fill):
    for layout, libver in LAYOUTS.items():
        with h5py.File(os.path.join(sys.argv[1], folder, f"{name}_{layout}.h5"), "w", libver=libver) as f:
            fill(f)


def scaled(group, name, values, *dimensions, **options):
    data = group.create_dataset(name, data=values, **options)
    for axis, dimension in enumerate(dimensions):
        data.dims[axis].attach_scale(group[dimension])
    return data


def scale(group, name, values, **options):
    data = group.create_dataset(name, data=values, **options)
    data.make_scale(name)
    return data


def start(f):
    f["W"] = np.ones((2, 3))
    f["W_V"] = np.ones((3, 4), "f4")
    f["W_K"] = np.ones((3, 4), ">i2")
    f.create_dataset("W_Q", data=np.zeros((3, 4)), chunks=(1, 4), compression="gzip", fletcher32=True)
    f["a"] = np.array([1.0, -1.0])


def task(f):
    f.attrs["words"] = 5
    f["tokens"] = np.array([[0, 1, 2, 4], [2, 0, -1, -1]])
    f["labels"] = np.array([1, -1])


def wrong(f):
    f.attrs["words"] = "five"
    f["tokens"] = np.array([[0, 1], [2, 0]], [("a", "f8"), ("b", "i4")])
    f["labels"] = h5py.Empty("i8")
    f["W"] = ["text", "more"]
    f["W_V"] = h5py.ExternalLink("other.h5", "/W")
    f["W_K"] = h5py.SoftLink("/nowhere")
    layout = h5py.VirtualLayout((3, 4), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "W", (3, 4))
    f.create_virtual_dataset("W_Q", layout)
    f.create_dataset("a", (2,), "f8", external="other.bin")


def run(f):
    f.attrs["schema_version"] = 1
    f.attrs["settings"] = "seed = 1\n"
    f.attrs["t0"] = 0.5
    scale(f, "t", np.array([0.0, 1.0, 3.0]), maxshape=(None,), chunks=(4,))
    scale(f, "word", ["mu_1", "mu_2"])
    scaled(f, "loss", np.array([0.7, 0.5, 0.4]), "t", maxshape=(None,), chunks=(4,)).attrs["units"] = "1"
    scaled(f, "G", np.ones((3, 2)), "t", "word", maxshape=(None, 2), chunks=(4, 2), fletcher32=True)
    f.create_group("task").attrs["words"] = 4
    f["task/tokens"] = np.array([[0, 1, 2], [3, 2, -1]])
    f["start/W"] = np.ones((2, 3))
    states = f.create_group("states")
    scale(states, "t", np.array([0.0, 3.0]), maxshape=(None,), chunks=(2,))
    scaled(states, "W", np.ones((2, 2, 3)), "t", maxshape=(None, 2, 3), chunks=(1, 2, 3))
    summary = f.create_group("events/summary")
    scale(summary, "event", ["classified"])
    summary["condition"] = ["min z > 0"]
    for name in ("applicable", "true_at_start", "true_at_end", "ups", "downs", "verdict"):
        summary[name] = np.array([1])
    summary["verdict"].attrs["flag_meanings"] = "unknown never once"
    for name in ("for_good", "for_good_error"):
        summary[name] = np.array([2.0])
    crossings = f.create_group("events/crossings")
    scale(crossings, "t", np.array([2.0]), maxshape=(None,), chunks=(4,))
    for name in ("event", "direction", "slope", "t_error", "certain", "clock_time", "local_error", "loss"):
        scaled(crossings, name, np.array([1.0]), "t", maxshape=(None,), chunks=(4,))
    steps = f.create_group("steps")
    scale(steps, "t", np.array([1.0, 3.0]), maxshape=(None,), chunks=(4,))
    for name in ("clock_step", "error_ratio"):
        scaled(steps, name, np.array([0.1, 0.2]), "t", maxshape=(None,), chunks=(4,))
    end = f.create_group("run")
    end["outcome"] = 0
    end["outcome"].attrs["flag_meanings"] = "unfinished reached_end"
    end["message"] = np.array(b"reached its end", "S64")
    scale(end, "purpose", ["steps"])
    end["counts"] = np.array([12])
    end["wall_seconds"] = 0.1
    for slot in ("0", "1"):
        f[f"checkpoint/{slot}/seal"] = np.array([1, 0])
        f[f"checkpoint/{slot}/integers"] = np.array([1, 3, 2, 1, 2])
        f[f"checkpoint/{slot}/reals"] = np.array([0.5, 0.25])


def comparison(f):
    f.attrs["schema_version"] = 1
    run(f.create_group("flow"))
    group = f.create_group("comparison")
    scale(group, "t", np.array([0.0, 1.0]), maxshape=(None,), chunks=(4,))
    scale(group, "descent", ["gd 0.1"])
    scaled(group, "distance", np.ones((2, 1)), "t", "descent", maxshape=(None, 1), chunks=(4, 1))
    f["fits/order"] = np.array([1.0])


def bare(f):
    f.attrs["schema_version"] = 1
    f["t"] = np.zeros(0)
    for name in ("states/t", "events/crossings/t", "steps/t"):
        f[name] = np.zeros(0)
    for name in ("event", "condition"):
        f[f"events/summary/{name}"] = h5py.Empty("S4")
    f["run/message"] = np.zeros(0, "S8")
    f["run/outcome"] = np.int64(-1)
    f["run/outcome"].attrs["flag_meanings"] = ""
    f["run/counts"] = np.zeros(0, "i8")
    f["run/wall_seconds"] = 0.0


for fill in (start, task, wrong):
    write("arrays", fill.__name__, fill)
for fill in (run, comparison, bare):
    write("runs", fill.__name__, fill)
