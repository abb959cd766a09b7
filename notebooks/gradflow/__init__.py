"""Runs of the command `gradflow` in Python: started, read, watched and drawn.

    import gradflow
    run = gradflow.open_run("paper.h5")           # finished, killed, or still being written
    run.observables.loss_class                    # xarray: names, units, coordinates
    run.events                                    # pandas: when each event happened, for good, with its error
    gradflow.claims("paper.h5")                   # pandas: the paper's claims on this run
    gradflow.plots.overview(run)                  # the picture that `gradflow plot paper.h5` writes
    gradflow.run(gradflow.data("paper.toml"), seed=2, solver__until=30)     # gradflow simulate ... --set ...
    gradflow.watch("paper.h5")                    # draws a run while it is computed

Importable with the folder `notebooks` of the source tree, or `share/gradflow/python` of an installation, on PYTHONPATH.
It needs h5py, numpy, pandas and xarray (plots: matplotlib; known answers: scipy), all of them Debian packages.
"""
from .commands import CommandFailed, CommandMissing, command, compare, data, ensemble, run
from .errors import GradflowError, NoSuchFile, NotAGradflowFile, NotReady
from .reader import Comparison, Run, open_comparison, open_file, open_run
from .tables import claims, claims_over, crossings, each, events, gather, phases
from .live import follow, watch

__all__ = ["Comparison", "CommandFailed", "CommandMissing", "GradflowError", "NoSuchFile", "NotAGradflowFile", "NotReady",
           "Run", "claims", "claims_over", "command", "compare", "crossings", "data", "each", "ensemble", "events", "follow", "gather",
           "open_comparison", "open_file", "open_run", "phases", "plots", "quantities", "run", "watch"]


def __getattr__(name):
    """`plots` and `quantities` are loaded when they are asked for: reading alone needs neither matplotlib nor scipy."""
    if name in ("plots", "quantities"):
        import importlib
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module 'gradflow' has no attribute '{name}'")
