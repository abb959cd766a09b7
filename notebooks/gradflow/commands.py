"""The command `gradflow` from Python. Its talk is kept for the message, should it fail."""
import concurrent.futures
import json
import os
import shutil
import subprocess
from pathlib import Path

from .errors import GradflowError

_HERE = Path(__file__).resolve().parent


class CommandMissing(GradflowError):
    """The command is neither where GRADFLOW_COMMAND says, nor in PATH, nor built in the source tree."""


class CommandFailed(GradflowError):
    """The command ended with another exit code than 0; the message is what it said.

    returncode: 1 the run ended early, 2 wrong settings, 3 a file cannot be read or written, 130 interrupted.
    """

    def __init__(self, action, done):
        said = done.stderr.strip()
        super().__init__(said or f"gradflow {action} ended with exit code {done.returncode}")
        self.returncode, self.stderr = done.returncode, done.stderr


def command():
    """Path of the command: $GRADFLOW_COMMAND, else `gradflow` of PATH, else the one beside this module: of the installation,
    or built in the source tree. Raises CommandMissing."""
    named = os.environ.get("GRADFLOW_COMMAND")
    if named:
        if found := shutil.which(named):
            return str(Path(found).absolute())
        raise CommandMissing(f"GRADFLOW_COMMAND is '{named}', and no program of that name can be run")
    beside = [_HERE.parents[3] / "bin/gradflow", _HERE.parents[1] / "build/bin/gradflow"]
    for candidate in ("gradflow", *map(str, beside)):
        if found := shutil.which(candidate):
            return found
    raise CommandMissing("the command gradflow is not found: build it (bash data/paper.sh), or set GRADFLOW_COMMAND to it")


def data(name):
    """Path of an experiment that comes with gradflow, such as "paper.toml". Raises GradflowError, naming those there are."""
    for folder in (_HERE.parents[1] / "data", _HERE.parents[1] / "experiments"):  # of the source tree, of an installation
        if (folder / name).is_file():
            return folder / name
        if folder.is_dir():
            there = ", ".join(sorted(p.name for p in folder.glob("*.toml")))
            raise GradflowError(f"there is no experiment '{name}' in {folder}; there are {there}")
    raise GradflowError(f"the experiments that come with gradflow are not found beside {_HERE}")


def run(experiment, output=None, *, force=False, **settings):
    """`gradflow simulate EXPERIMENT [-o OUTPUT] [--force] --set ...`; returns the path of the run's file.

    Each setting is one --set, with two underscores for a dot: seed=2, solver__until=30.0,
    model__start__kind="linear-default". Without `output` the file is NAME.h5 in the current folder, as with the command.
    Raises CommandFailed (with what the command said), CommandMissing.
    """
    return _make("simulate", experiment, output, force, settings)


def compare(experiment, output=None, *, force=False, **settings):
    """The same with `gradflow compare`: the flow beside discrete descents. The default is NAME-compare.h5."""
    return _make("compare", experiment, output, force, settings)


def ensemble(experiment, folder, varied, *, force=False, jobs=None, **settings):
    """Runs of one experiment that differ in some settings, `jobs` (the number of cores) at a time; their paths, in order.

    `varied` holds a dictionary of settings for each run, written as for run(): [{"seed": s} for s in range(1, 11)].
    The files are folder/0.h5, folder/1.h5, ...; the folder is made where there is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        return list(pool.map(lambda one: run(experiment, folder / f"{one[0]}.h5", force=force, **{**settings, **one[1]}),
                             enumerate(varied)))


def _make(action, experiment, output, force, settings):
    arguments = [command(), action, str(experiment), "--quiet"]
    arguments += ["-o", str(output)] if output is not None else []
    arguments += ["--force"] if force else []
    for key, value in settings.items():
        arguments += ["--set", f"{key.replace('__', '.')}={_toml(value)}"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandFailed(action, done)
    return Path(output) if output is not None else Path(_written(done.stdout))


def _written(report):
    """The file that the report names in its last line: "The run is in NAME.h5. Next: ..."."""
    return report.rsplit(" is in ", 1)[1].split(". Next: ", 1)[0]


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple, range)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False)  # TOML's basic strings have JSON's escapes
    return repr(value.item() if hasattr(value, "item") else value)
