"""make_comparisons.py FOLDER: from the whole comparison compare.h5 that stands there, files wrong in one way each."""
import os
import sys

import h5py

os.chdir(sys.argv[1])
whole = open("compare.h5", "rb").read()


def changed(name, change):
    with open(name, "wb") as f:
        f.write(whole)
    with h5py.File(name, "r+", libver="latest") as f:
        change(f)


changed("later.h5", lambda f: f.attrs.modify("schema_version", 2))
changed("later_descent.h5", lambda f: f["descents/1"].attrs.modify("schema_version", 2))
changed("stranger.h5", lambda f: f.attrs.__delitem__("schema_version"))
changed("no_labels.h5", lambda f: f["comparison"].__delitem__("descent"))
changed("no_descent.h5", lambda f: f["descents"].__delitem__("1"))
changed("short.h5", lambda f: f["comparison/distance"].resize(2, axis=0))
