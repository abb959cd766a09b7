"""make_files.py FOLDER: HDF5 files as users supply them, most of them wrong in one way."""
import os
import sys
import zlib

import h5py
import numpy as np

os.chdir(sys.argv[1])

with h5py.File("other.h5", "w") as f:
    f["W"] = np.ones((2, 2))

with h5py.File("arrays.h5", "w") as f:
    f.attrs["words"] = 8
    f.attrs["name"] = "text"
    f["float32"] = np.array([[1, 2, 3], [4, 5, 6]], "f4")
    f["big_endian"] = np.array([1, 2, 3], ">i2")
    f["matrix"] = np.arange(6.0).reshape(2, 3)
    f["nan"] = np.array([[1, 2, 3], [4, np.nan, 6]])
    f["infinite"] = np.array([1, np.inf])
    f["text"] = "not a number"
    f["complex"] = np.ones(3, complex)
    f["boolean"] = np.ones(3, bool)
    f["empty"] = h5py.Empty("f8")
    f["none"] = np.zeros((0, 4))
    f.create_dataset("sparse", shape=(10**6, 10**6), dtype="f8", chunks=(1000, 1000))
    f.create_dataset("zeros", data=np.zeros(3_000_000), compression="gzip", compression_opts=9)
    # One stored chunk of 13 bytes that would be a gibibyte in memory; more values than 64 bits count.
    f.create_dataset("chunks", (3,), "f8", chunks=(2**27,), maxshape=(None,), compression="gzip")
    f["chunks"].id.write_direct_chunk((0,), zlib.compress(b"chunk"))
    f.create_dataset("overflow", (2**32, 2**32, 2), "f8", chunks=(1, 1, 2))
    f.create_dataset("overflow_of_none", (0, 2**32, 2**32), "f8", chunks=(1, 1, 1), maxshape=(None, None, None))
    f.create_group("group")
    f["soft"] = h5py.SoftLink("/matrix")
    f["dangling"] = h5py.SoftLink("/nowhere")
    f["external"] = h5py.ExternalLink("other.h5", "/W")
    f["group/outside"] = h5py.ExternalLink("other.h5", "/")
    f["soft_external"] = h5py.SoftLink("/group/outside/W")
    layout = h5py.VirtualLayout((2, 2), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "W", (2, 2))
    f.create_virtual_dataset("virtual", layout)
    f.create_dataset("external_storage", (2, 2), "f8", external="other.h5")
    f["start/W"] = np.full((2, 2), 5.0)
    f["W"] = np.full((2, 2), 6.0)
    f["a"] = np.array([1, -1])

with h5py.File("damaged.h5", "w") as f:
    f.create_dataset("x", data=np.arange(1000.0), chunks=(1000,), fletcher32=True)
    offset = f["x"].id.get_chunk_info(0).byte_offset
with open("damaged.h5", "r+b") as f:
    f.seek(offset + 100)
    f.write(b"\xff" * 8)

with open("text.h5", "w") as f:
    f.write("tokens, labels\n" * 100)
open("nothing.h5", "w").close()
os.mkfifo("pipe.h5")

# From the whole run that stands here: truncated, of a later version, without parts, or with parts of another kind.
whole = open("run.h5", "rb").read()
with open("truncated.h5", "wb") as f:
    f.write(whole[: len(whole) // 2])
with open("head.h5", "wb") as f:
    f.write(whole[:20])


def changed(name, change):
    with open(name, "wb") as f:
        f.write(whole)
    with h5py.File(name, "r+", libver="latest") as f:
        change(f)


def replace(f, name, values):
    del f[name]
    f[name] = values


changed("later.h5", lambda f: f.attrs.modify("schema_version", 2))
changed("version.h5", lambda f: f.attrs.create("schema_version", "one"))
changed("no_t.h5", lambda f: f.__delitem__("t"))
changed("no_states.h5", lambda f: f.__delitem__("states"))
changed("short.h5", lambda f: f["G"].resize(2, axis=0))
changed("text_t.h5", lambda f: replace(f, "t", ["a", "b"]))
changed("wide_step.h5", lambda f: replace(f["steps"], "clock_step", np.ones((100, 2))))
changed("real_outcome.h5", lambda f: replace(f["run"], "outcome", 0.5))
changed("array_outcome.h5", lambda f: replace(f["run"], "outcome", np.array([0, 1])))
changed("unwritten.h5", lambda f: [data.resize(data.shape[0] + 3, axis=0) for data in f["events/crossings"].values()
                                  if data.maxshape[0] is None])
changed("short_summary.h5", lambda f: replace(f["events/summary"], "ups", np.array([1])))
changed("no_message.h5", lambda f: replace(f["run"], "message", np.zeros(0, "S8")))
changed("unknown_crossing.h5", lambda f: f["events/crossings/event"].write_direct(np.array([2**62, 0])))
changed("crossing_of_nothing.h5", lambda f: f["events/crossings/event"].write_direct(np.array([0, -1])))
changed("earlier.h5", lambda f: f.attrs.modify("schema_version", 0))
