"""A run while it is computed."""
import contextlib
import sys
import time
import warnings
from pathlib import Path

from . import reader
from .errors import GradflowError, NoSuchFile, NotReady


def follow(path, interval=1.0, patience=60.0):
    """The run (or comparison) in `path` again and again, opened anew whenever it has grown, at most every `interval` seconds;
    the last one when it has ended.

    A file that does not exist, or holds no row yet, is waited for. Ends with a warning where nothing has been written for
    `patience` seconds: the program was killed, or needs longer than that for a row of the file.
    """
    path, seen, since, unread = Path(path), None, time.monotonic(), False
    while True:
        now = _last_change(path)
        if now != seen:
            seen, since, unread = now, time.monotonic(), True
        if unread:
            with contextlib.suppress(NoSuchFile, NotReady):
                run = reader.open_file(path)
                unread = False
                yield run
                if run.finished:
                    return
        if time.monotonic() - since > patience:
            warnings.warn(f"nothing has been written to '{path}' for {patience:g} s: killed, or very slow", stacklevel=2)
            return
        time.sleep(interval)


def _last_change(path):
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


def watch(path, interval=1.0, patience=60.0):
    """Draws the run in `path` while it is computed, in a notebook or a window, until it ends; returns it as it was last read.

    The parameters are follow()'s. An interrupt (Ctrl-C, or the notebook's stop button), and closing the window, ends the
    watching, not the run.
    """
    from . import plots

    show = _in_notebook if _is_notebook() else _in_window
    run, figure = None, None
    try:
        for run in follow(path, interval, patience):
            with contextlib.suppress(NotReady):  # too few rows for a picture
                figure = plots.picture(run, figure)
                if not show(figure):
                    break
    except KeyboardInterrupt:
        pass
    return run


def _is_notebook():
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def _in_notebook(figure):
    """The figure in place of the last one, in the output of the cell."""
    import matplotlib.pyplot as plt
    from IPython.display import clear_output, display
    clear_output(wait=True)
    display(figure)
    plt.close(figure)  # else it is shown once more at the end of the cell
    return True


def _in_window(figure):
    """The same in a window; whether it is still open."""
    import matplotlib
    import matplotlib.pyplot as plt

    if matplotlib.get_backend().lower() in ("agg", "pdf", "ps", "svg", "cairo", "template"):
        raise GradflowError("a window cannot be opened here (it takes a display, and python3-tk); gradflow plot writes a picture")
    figure.canvas.draw_idle()
    plt.pause(0.05)
    return plt.fignum_exists(figure.number)
