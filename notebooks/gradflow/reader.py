"""Files of `gradflow simulate` and `gradflow compare`, read with h5py into xarray.

h5py reads a file that is being written (HDF5's single writer, multiple readers), or whose writer was killed, where
`xarray.open_dataset` refuses it; a finished file gives the same datasets either way. `t` is written last, so that its rows
say how many rows of everything else are whole.
"""
import contextlib
import difflib
import functools
import os
import tomllib
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from .errors import GradflowError, NoSuchFile, NotAGradflowFile, NotReady

SCHEMA_VERSION = 1
_BOOKKEEPING = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}  # of HDF5's dimension scales


def open_run(path, group="/"):
    """The run in `path` as it stands at this moment: finished, killed half-way, or still being written.

    `group` names one of several runs in a file: "flow" or "descents/0" of a comparison.
    Raises NoSuchFile, NotAGradflowFile, or NotReady where no row has been written yet.
    """
    with _opened(path) as file:
        if group == "/" and "comparison" in file:
            raise NotAGradflowFile(f"'{path}' is a comparison, which holds several runs: open_comparison reads it, or "
                                   "open_run(path, 'flow')")
        return Run(path, file, group)


def open_comparison(path):
    """The comparison in `path` as it stands at this moment. Raises as open_run does."""
    with _opened(path) as file:
        if "comparison" not in file:
            raise NotAGradflowFile(f"'{path}' is a run and holds no comparison: open_run reads it")
        return Comparison(path, file)


def open_file(path):
    """What is in `path`: a Run or a Comparison."""
    with _opened(path) as file:
        return Comparison(path, file) if "comparison" in file else Run(path, file)


class Run:
    """A run, or a comparison's flow, or one of its descents, as it stood when it was opened.

    observables   xarray.Dataset along flow time t: loss, loss_class, gradient_sum, G, B, ... (see the attributes of each)
    steps         xarray.Dataset along t: length and error ratio of each accepted step
    events        pandas.DataFrame: a row for each event, with the time t from which its condition holds for good (0: from
                  the start on; NaN: it does not hold at the end)
    crossings     pandas.DataFrame: a row for each crossing, both ways
    states, start, task   xarray.Dataset: snapshots, the state at t = 0, the samples; read when first asked for
    attributes    what else the file says: method, tolerances, version, commit, ...
    outcome       "reached_end", "interrupted", ...; "unfinished" while it is being written, or where it was killed
    """

    def __init__(self, path, file, group="/"):
        if group not in file:
            raise GradflowError(f"'{path}' has no group '{group}'")
        self.path, self.group = Path(path), group
        root = file[group]
        self.attributes = _attributes(root)
        # First of all: what is read after "finished" is complete.
        self.outcome, self.message, self.wall_seconds = _end_of_run(root["run"])
        self.observables = _table(root)
        if self.observables.sizes["t"] == 0:
            raise NotReady(f"'{path}' holds no row yet: the run has only just begun, or was killed at once")
        self.steps = _table(root["steps"])
        summary, found = _table(root["events/summary"]), _table(root["events/crossings"])
        self.events = _events(summary)
        self.crossings = _crossings(found, list(self.events.index))

    @functools.cached_property
    def states(self):
        return self._read("states")

    @functools.cached_property
    def start(self):
        return self._read("start")

    @functools.cached_property
    def task(self):
        return self._read("task")

    @functools.cached_property
    def settings(self):
        """The experiment's effective settings, as nested dictionaries."""
        return tomllib.loads(self.attributes["settings"])

    @property
    def name(self):
        return self.settings.get("name", self.path.stem)

    @property
    def finished(self):
        return self.outcome != "unfinished"

    @property
    def t_end(self):
        """The last recorded flow time."""
        return float(self.observables.t[-1])

    @property
    def T1(self):
        """(t, error) of the end of Phase 1: the later of `classified` and `aligned`, each for good; NaN where one is never.
        Of several aligned(c) the one with c = 0 counts, or else the first."""
        aligned = sorted((n for n in self.events.index if n.startswith("aligned")), key=lambda n: n != "aligned")
        if "classified" not in self.events.index or not aligned:
            return np.nan, np.nan
        ends = self.events.loc[["classified", aligned[0]], ["t", "error"]]
        return (np.nan, np.nan) if ends.t.isna().any() else tuple(map(float, ends.loc[ends.t.idxmax()]))

    @property
    def T2(self):
        """The end of Phase 2: as the experiment sets it, or the last recorded time."""
        given = float(self.attributes.get("T2", np.nan))
        return given if np.isfinite(given) else self.t_end

    def _read(self, name):
        with _opened(self.path) as file:
            return _table(file[self.group][name])

    def __repr__(self):
        return (f"<gradflow run '{self.name}' in {self.path}: {self.outcome}, {self.observables.sizes['t']} rows to "
                f"t = {self.t_end:.6g}, {len(self.crossings)} crossings>")


class Comparison:
    """The flow of an experiment and discrete descents from its start.

    flow, descents   Run, list of Run; descents[i].attributes has method, rate, beta
    labels           a name for each descent, such as "gd 0.01"
    distances        xarray.Dataset along t: distance [t, descent] in parameters, by matrix, in logits, loss, ..., and by which
                     power of the rate it falls
    fits, curvature  xarray.Dataset: the powers of the largest distances; the Hessian's largest and smallest eigenvalue along
                     the flow (empty where the file has none)
    """

    def __init__(self, path, file):
        self.path = Path(path)
        self.flow = Run(path, file, "flow")
        self.labels = [label.decode() for label in file["comparison/descent"][:]]
        self.descents = [Run(path, file, f"descents/{i}") for i in range(len(self.labels))]
        self.distances = _table(file["comparison"])
        self.fits, self.curvature = (_table(file[name]) if name in file else xr.Dataset() for name in ("fits", "curvature"))

    @property
    def name(self):
        return self.flow.name

    @property
    def finished(self):
        return self.flow.finished and all(descent.finished for descent in self.descents)

    @property
    def t_end(self):
        return self.flow.t_end

    def __repr__(self):
        return f"<gradflow comparison '{self.name}' in {self.path}: the flow and {', '.join(self.labels)}>"


@contextlib.contextmanager
def _opened(path):
    """The open file of a run or comparison, checked to be one."""
    path = Path(path)
    if path.is_dir():
        raise NotAGradflowFile(f"'{path}' is a folder; give a file in it")
    if not path.exists():
        folder = path.parent.iterdir() if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, sorted(p.name for p in folder), n=1)
        raise NoSuchFile(f"there is no file '{path}'." + (f" Did you mean '{near[0]}'?" if near else ""))
    if not h5py.is_hdf5(path):
        with open(path, "rb"):  # where it cannot be read at all, the system says why
            raise NotAGradflowFile(f"'{path}' is not an HDF5 file; gradflow simulate writes one")
    _check_seal(path)
    with _open_hdf5(path) as file:
        version = file.attrs.get("schema_version")
        if version is None or not ({"t", "run"} <= set(file) or {"flow", "comparison"} <= set(file)):
            raise NotAGradflowFile(f"'{path}' is an HDF5 file, but no run or comparison of gradflow")
        if version > SCHEMA_VERSION:
            raise NotAGradflowFile(f"'{path}' has layout {version}, written by a newer gradflow "
                                   f"({file.attrs.get('version')}); this module reads up to {SCHEMA_VERSION}")
        yield file


def _check_seal(path):
    """A finished file ends with the CRC-32 of its bytes, behind what HDF5 says is its end; whoever opens it for writing
    removes that."""
    mark = b"gradflow CRC-32 "
    with open(path, "rb") as file:
        head = file.read(36)
        sealed = file.seek(0, os.SEEK_END) - len(mark) - 8
        if sealed < len(head):
            return
        file.seek(sealed)
        seal = file.read()
        ends_here = head[8] in (2, 3) and int.from_bytes(head[28:36], "little") == sealed  # superblock of version 2 or 3
        if not (seal.startswith(mark) or ends_here):
            return
        crc, left = 0, sealed
        file.seek(0)
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            crc, left = zlib.crc32(block, crc), left - len(block)
        file.seek(sealed)
        if file.read() == seal != mark + b"%08x" % crc:  # and nobody has begun to write meanwhile
            raise GradflowError(f"'{path}' is damaged: its bytes are not those with which it was finished (the checksum at "
                                "its end is another). Use another copy of it, or make it again")


def _open_hdf5(path):
    try:
        try:
            return h5py.File(path, "r", libver="latest", swmr=True)
        except OSError:  # this program has it open already in the plain way, xarray.open_dataset's: that is the only way now
            return h5py.File(path, "r", libver="latest")
    except BlockingIOError as error:
        raise NotReady(f"'{path}' is locked by the program that is opening it; try again") from error
    except OSError as error:
        raise GradflowError(f"'{path}' cannot be opened as HDF5: {error}") from error


def _table(group):
    """The data sets of a group along their dimension scales; of those that grow with `t`, the rows that are whole."""
    rows = None
    if "t" in group:
        finite = np.isfinite(group["t"][:])  # beyond the last whole row, if anything, fill values
        rows = len(finite) if finite.all() else int(finite.argmin())
    variables = {}
    for name, data in group.items():
        if not isinstance(data, h5py.Dataset):
            continue
        dims = _dimensions(name, data)
        values = data[:rows] if dims[:1] == ("t",) else data[()]
        variables[name] = (dims, _decoded(values), _attributes(data))
    coordinates = {name: value for name, value in variables.items() if value[0] == (name,)}
    values = {name: value for name, value in variables.items() if name not in coordinates}
    return xr.Dataset(values, coordinates, _attributes(group))


def _dimensions(name, data):
    if h5py.h5ds.is_scale(data.id):
        return (name,)
    return tuple(data.dims[i][0].name.rsplit("/", 1)[-1] if len(data.dims[i]) else f"{name}_{i}" for i in range(data.ndim))


def _decoded(values):
    if isinstance(values, bytes):
        return values.decode()
    if isinstance(values, np.ndarray) and values.dtype.kind in "OS":
        return np.array([v.decode() if isinstance(v, bytes) else v for v in values.flat], dtype=object).reshape(values.shape)
    return values


def _attributes(item):
    plain = {}
    for name in item.attrs:
        if name not in _BOOKKEEPING:
            value = item.attrs[name]
            plain[name] = value.item() if isinstance(value, np.generic) else value
    return plain


def _meaning(flags, value):
    """The word that a flag stands for, by the attributes flag_values and flag_meanings."""
    meanings = dict(zip(flags["flag_values"].tolist(), flags["flag_meanings"].split()))
    return meanings.get(int(value), f"unknown ({value})")


def _end_of_run(group):
    outcome = _meaning(group["outcome"].attrs, group["outcome"][()])
    return outcome, _decoded(bytes(group["message"][()])), float(group["wall_seconds"][()])


def _events(summary):
    verdicts = [_meaning(summary.verdict.attrs, value).replace("_", " ") for value in summary.verdict.values]
    counts = summary.ups.values + summary.downs.values
    verdicts = [verdict.replace("crossings", f"{count} crossing{'' if count == 1 else 's'},", 1)
                for verdict, count in zip(verdicts, counts)]
    from_the_start = np.array([verdict == "at start and for good" for verdict in verdicts])
    return pd.DataFrame(
        {"verdict": verdicts, "t": np.where(from_the_start, 0, summary.for_good),
         "error": np.where(from_the_start, 0, summary.for_good_error), "crossings": counts,
         "true_at_start": summary.true_at_start.values == 1, "true_at_end": summary.true_at_end.values == 1,
         "condition": summary.condition.values},
        index=pd.Index(summary.event.values, name="event", dtype=object))


def _crossings(found, names):
    return pd.DataFrame(
        {"event": [names[i] for i in found.event.values], "becomes": found.direction.values > 0, "t": found.t.values,
         "error": found.t_error.values, "slope": found.slope.values,
         "certain": pd.array([None if c < 0 else bool(c) for c in found.certain.values], dtype="boolean")})
