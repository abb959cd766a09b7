"""Events and claims of a run as pandas tables."""
import concurrent.futures
import json
import os
import subprocess

import pandas as pd

from . import reader
from .commands import CommandFailed, command

#: Columns of claims(), as `gradflow phases --json` names them.
CLAIM_COLUMNS = ["name", "source", "statement", "measured", "unit", "at", "constant", "constant_name", "verdict", "from",
                 "fails_on", "note", "values"]


def _run(path, descent=None):
    found = reader.open_file(path)
    if isinstance(found, reader.Run):
        return found
    return found.flow if descent is None else found.descents[descent]


def events(path, descent=None):
    """A row for each event: verdict, the time t from which it holds for good with its error (0 where it does from the start,
    NaN where it does not), crossings, true_at_start, true_at_end, condition. Of a comparison: the flow's, or those of the
    descent of that number."""
    return _run(path, descent).events


def crossings(path, descent=None):
    """A row for each crossing, in order of time: event, becomes (true or false), t, error, slope, certain (NA where no
    second solve has looked for it)."""
    return _run(path, descent).crossings


def phases(path, *options):
    """The document of `gradflow phases --json`: events, T1, T2, what has drifted at T1, claims."""
    done = subprocess.run([command(), "phases", str(path), "--json", *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed("phases", done)
    return json.loads(done.stdout)


def claims(source, *options):
    """A row for each of the paper's claims, indexed by its name: source, statement, measured, verdict, ... as
    `gradflow phases --json` reports them. `source` is a run's path (`options` are then the command's own, such as
    "--small=0.05") or a document of phases()."""
    document = source if isinstance(source, dict) else phases(source, *options)
    return pd.DataFrame(document.get("claims", []), columns=CLAIM_COLUMNS).set_index("name")


def each(function, sources, jobs=None):
    """[function(source), ...], `jobs` (the number of cores) at a time: for those that call the command, such as phases()."""
    with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        return list(pool.map(function, sources))


def gather(table, sources):
    """One table of several runs: table(source) of each, under the number of the run, from 0."""
    return pd.concat(dict(enumerate(each(table, sources))), names=["run"])


def claims_over(sources):
    """The paper's claims on several runs, given as to claims(): on how many each holds (from the start, or from some t on),
    fails or does not apply, and the smallest, median and largest of what was measured."""
    every = gather(claims, sources).reset_index("name")
    every["measured"] = pd.to_numeric(every.measured)
    grouped = every.groupby("name", sort=False)
    counts = pd.crosstab(every.name, every.verdict).reindex(columns=["holds", "holds from t on", "fails", "not applicable"],
                                                            fill_value=0)
    measured = grouped.measured.agg(smallest="min", median="median", largest="max")
    told = grouped[["source", "statement"]].first()
    return pd.concat([told.source, counts.reindex(told.index), measured, told.statement], axis=1)
