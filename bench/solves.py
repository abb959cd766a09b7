"""Whole solves beside their peers, at equal achieved error.

    python3 bench/solves.py --build build-bench [--quick | --smoke] [--cases S,M,...] [--programs REGEX] [--rounds 3]
                            [--out bench/results/solves.json]

Every program solves the same start and task at a ladder of tolerances (atol = rtol / 100), the programs in turn, one thread
each. What a rung achieved is measured: |x - reference| / |reference| over u = W^T a, W_V, W_K, W_Q together, the reference
being a far tighter solve by a method of another family. Evaluations at equal error are interpolated between the two rungs
around it, in logarithms; times are those of an evaluation, times their number.
"""
import argparse
import datetime
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
BLOCKS = ("u", "W_V", "W_K", "W_Q")
TARGETS = (1e-5, 1e-6)
ONE_THREAD = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
# What a user can leave away of a run: error bars, records, snapshots, all events but those that are always there.
LIGHT = {"save.records": 2, "save.states": 2, "solver.error_bars": "false", "phases.bracket": "[]", "phases.attention_moves": "[]",
         "phases.loss_below": "[]"}

# Size, end, and the tolerances 10^-k of the ladder; the reference's tolerance
CASES = {
    "S": dict(size="S", until=1e3, ladder=(2, 3, 4, 5, 6, 7), reference=1e-12),
    "M": dict(size="M", until=1e3, ladder=(3, 4, 5, 6), reference=1e-12),
    "L": dict(size="L", until=20, ladder=(3, 4), reference=1e-9),
    "S to 1e8": dict(size="S", until=1e8, ladder=(2, 3, 4, 5, 6), reference=1e-12),
    "S to 1e12": dict(size="S", until=1e12, ladder=(2, 3, 4, 5, 6), reference=1e-12),
    "M to 1e8": dict(size="M", until=1e8, ladder=(3, 4, 5), reference=1e-12),
    "M to 1e12": dict(size="M", until=1e12, ladder=(3, 4, 5), reference=1e-12),
}


class Program:
    """Something that solves some of the cases by the command `argv(case, rtol, out)`.

    `command`: it is gradflow's own. `tighter`: by so many decades it needs tighter tolerances than others for the same error; its
    ladder begins there. `quick`: it is in the quick comparison too.
    """

    def __init__(self, name, argv, cases, command=False, tighter=0, quick=True):
        self.name, self.argv, self.cases = name, argv, cases
        self.command, self.tighter, self.quick = command, tighter, quick


class Bench:
    def __init__(self, build, work, scratch):
        self.build, self.work, self.scratch = Path(build).resolve(), Path(work).resolve(), Path(scratch)
        self.work.mkdir(parents=True, exist_ok=True)
        listed = subprocess.run([self.bin("bench-solve"), "--methods"], capture_output=True, text=True, check=True)
        self.methods = listed.stdout.split()

    def bin(self, name):
        return str(self.build / "bin" / name)

    def problem(self, size):
        return self.work / f"{size}.problem.h5"

    def programs(self, torch):
        everywhere, plain = list(CASES), ["S", "M", "L"]
        python = lambda script, *more: lambda case, rtol, out: [  # noqa: E731
            sys.executable, str(HERE / "peers" / script), str(self.problem(case["size"])), *tolerances(case, rtol), "--out", out, *more]
        library = lambda method: lambda case, rtol, out: [  # noqa: E731
            self.bin("bench-solve"), str(HERE / f"{case['size']}.toml"), "--method", method, *tolerances(case, rtol), "--out", out]
        command = lambda settings: lambda case, rtol, out: [  # noqa: E731
            self.bin("gradflow"), "simulate", str(HERE / f"{case['size']}.toml"), "-o", out, "--force", "--quiet",
            *sets({"solver.rtol": rtol, "solver.atol": rtol / 100, "solver.until": case["until"], **settings})]
        default, *others = self.methods
        programs = [Program(f"gradflow, {default}", library(default), everywhere)]
        programs += [Program(f"gradflow, {method}", library(method), ["S", "M", "S to 1e8", "S to 1e12"], quick=False)
                     for method in others]
        programs += [
            Program("gradflow command, light", command(LIGHT), plain, command=True),
            Program("gradflow command, no companion", command({"solver.error_bars": "false"}), ["S", "M"], command=True,
                    quick=False),
            Program("gradflow command, defaults", command({}), ["S", "M"], command=True, quick=False),
            Program("Odeint dopri5 + Eigen", lambda case, rtol, out: [
                self.bin("bench-odeint_eigen"), str(self.problem(case["size"])), *tolerances(case, rtol), "--out", out],
                ["S", "M", "L", "S to 1e8", "S to 1e12"]),
            Program("SciPy RK45 + NumPy", python("numpy_scipy.py", "--method", "RK45"), ["S", "M", "L", "S to 1e8"], tighter=2),
            Program("SciPy DOP853 + NumPy", python("numpy_scipy.py", "--method", "DOP853"), ["S", "M", "S to 1e8"], tighter=1,
                    quick=False),
        ]
        if torch:
            solver = "torchdiffeq dopri5" if torch == "torchdiffeq" else "SciPy RK45"
            programs.append(Program(f"PyTorch autograd + {solver}", python("torch_autograd.py"), ["S", "M"], tighter=2,
                                    quick=False))
        return programs


def tolerances(case, rtol):
    return ["--until", repr(case["until"]), "--rtol", repr(rtol), "--atol", repr(rtol / 100)]


def sets(settings):
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def torch_there():
    """"torchdiffeq", "torch", or "" where neither can be imported."""
    for module in ("torchdiffeq", "torch"):
        if subprocess.run([sys.executable, "-c", f"import torch, {module}"], capture_output=True).returncode == 0:
            return module
    return ""


def run(argv):
    """The command's standard output, with its seconds as a process and its largest memory in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ONE_THREAD)
    text = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, argv))}\nended with {process.returncode}: {errors.decode()[-2000:]}")
    return text, {"process_seconds": time.perf_counter() - begin, "process_processor_seconds": usage.ru_utime + usage.ru_stime,
                  "peak_bytes": 1024 * usage.ru_maxrss}


def state(path):
    """The last state in a file, as one vector: of a run, or of what the programs here write."""
    with h5py.File(path) as file:
        if "states" in file:
            last = {name: file["states"][name][-1] for name in ("W", *BLOCKS[1:])}
            last["u"] = last["W"].T @ file["start/a"][()]
        else:
            last = {name: file[name][()] for name in BLOCKS}
    return np.concatenate([last[name].ravel() for name in BLOCKS])


def distance(x, reference):
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))


def measure(bench, program, case, rtol, reference=None):
    """One solve; with `reference` also its error."""
    out = str(bench.scratch / "solution.h5")
    text, figures = run(program.argv(case, rtol, out))
    if program.command:
        with h5py.File(out) as file:
            purposes = [name.decode() if isinstance(name, bytes) else name for name in file["run/purpose"][()]]
            counts = dict(zip(purposes, map(int, file["run/counts"][()])))
            figures |= {"seconds": float(file["run/wall_seconds"][()]), "steps": counts["accepted"], "counts": counts,
                        "evaluations": sum(n for name, n in counts.items() if "evaluations" in name)}
            figures["processor_seconds"] = figures["process_processor_seconds"]
    else:
        figures |= json.loads(text)
    if reference is not None:
        figures["error"] = distance(state(out), reference)
    os.unlink(out)
    return figures


def prepare(bench, sizes, programs):
    """The peers' start and task, and a check that every program means the same gradient."""
    for size in sizes:
        subprocess.run([bench.bin("bench-solve"), str(HERE / f"{size}.toml"), "--export", str(bench.problem(size))], check=True)
        out = str(bench.scratch / "derivative.h5")
        expected = None
        for program in programs:
            if program.command or not any(CASES[name]["size"] == size for name in program.cases):
                continue
            run([*program.argv(dict(size=size, until=1), 1e-3, out), "--derivative"])
            found = state(out)
            expected = found if expected is None else expected
            error = distance(found, expected)
            if not error <= 1e-12:  # sums of up to thousands of terms in another order: some 1e-15
                raise SystemExit(f"{program.name}: the derivative at the start of {size} is {error:.1e} off gradflow's")


def reference(bench, case):
    """Kept beside the problems, so that the next run need not wait for it; anew where the experiment has changed."""
    source = HERE / f"{case['size']}.toml"
    path = bench.work / f"{case['size']}-{case['until']:g}-{case['reference']:g}.reference.h5"
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        run([bench.bin("bench-solve"), str(source), "--method", "fehlberg78", *tolerances(case, case["reference"]), "--out", str(path)])
    return state(path)


def around(rungs, target):
    """The two neighbours, loosest first, the tightest such two, between whose errors the target lies; else the two loosest or tightest."""
    pairs = list(zip(rungs, rungs[1:]))
    inside = [pair for pair in pairs if pair[0]["error"] >= target >= pair[1]["error"]]
    if inside:
        return inside[-1]
    return pairs[0] if target > rungs[0]["error"] else pairs[-1]


def at_error(pair, values, target):
    """Interpolated between two rungs in logarithms; None more than a factor of 10 outside them."""
    errors = [rung["error"] for rung in pair]
    if not min(errors) / 10 <= target <= 10 * max(errors) or errors[0] == errors[1]:
        return None
    first, second = map(math.log, errors)
    share = (math.log(target) - first) / (second - first)
    return math.exp((1 - share) * math.log(values[0]) + share * math.log(values[1]))


def solve_case(bench, name, programs, rounds, ladder):
    case = CASES[name]
    true = reference(bench, case)
    entries = {program.name: {"rungs": []} for program in programs}
    for step in ladder:  # the programs in turn; the first round gives every rung its error
        for program in programs:
            rungs, k = entries[program.name]["rungs"], step + program.tighter
            if rungs and rungs[-1]["error"] < min(TARGETS) / 3:
                continue  # below every target already
            figures = measure(bench, program, case, 10.0**-k, true)
            figures |= {key: [figures[key]] for key in ("seconds", "processor_seconds", "process_seconds")}
            rungs.append({"rtol": 10.0**-k, **figures})
            print(f"  {name}: {program.name}, rtol 1e-{k}: error {figures['error']:.1e}, {figures['evaluations']} evaluations, "
                  f"{figures['processor_seconds'][0]:.4g} s", file=sys.stderr, flush=True)
    for _ in range(rounds - 1):
        for position in (0, 1):
            for program in programs:
                rungs = entries[program.name]["rungs"]
                if len(rungs) < 2:
                    continue
                rung = around(rungs, TARGETS[0])[position]
                again = measure(bench, program, case, rung["rtol"])
                for key in ("seconds", "processor_seconds", "process_seconds"):
                    rung[key].append(again[key])
    for program in programs:
        entry = entries[program.name]
        entry["at"] = {f"{target:g}": summary(entry["rungs"], target, program.command) for target in TARGETS}
    return {"case": case, "state_bytes": 8 * int(true.size), "programs": entries}


def summary(rungs, target, command):
    """Evaluations at one error, and seconds round by round. Those of an evaluation hardly depend on the rung; a command does other
    work as well, so that its seconds are interpolated themselves."""
    if len(rungs) < 2:
        return None
    pair = around(rungs, target)
    evaluations = at_error(pair, [rung["evaluations"] for rung in pair], target)
    if evaluations is None:
        return None
    result = {"evaluations": evaluations}
    for key in ("seconds", "processor_seconds", "process_seconds"):
        each = [[value / rung["evaluations"] for value in rung[key]] for rung in pair]
        result[key] = [evaluations * (one + other) / 2 for one, other in zip(*each)]
        if command:
            result[key] = [at_error(pair, values, target) for values in zip(pair[0][key], pair[1][key])]
    return result


def machine():
    flags = model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()
        if key.strip() == "flags":
            flags = " ".join(flag for flag in value.split() if flag.startswith(("avx", "fma", "amx")))
            break
    return {"model": model, "flags": flags, "processors": os.cpu_count(), "system": platform.platform(),
            "load": os.getloadavg()[0]}


def paper(bench, rounds):
    """The paper's experiment as a whole process: seconds with everything at its default, and with less and less."""
    experiment = HERE.parent / "data" / "paper.toml"
    variants = {"defaults": {}, "no companion": {"solver.error_bars": "false"}, "light": LIGHT,
                "start-up": {**LIGHT, "solver.until": 1e-9}}
    out = str(bench.scratch / "paper.h5")
    argv = {name: [bench.bin("gradflow"), "simulate", str(experiment), "-o", out, "--force", "--quiet", *sets(settings)]
            for name, settings in variants.items()}
    found = {name: {"process_seconds": [], "process_processor_seconds": []} for name in variants}
    for _ in range(rounds):
        for name in variants:
            _, figures = run(argv[name])
            for key in found[name]:
                found[name][key].append(figures[key])
    return found


def compare(bench, names, options):
    """All cases asked for; the results are written anew after each, so that nothing is lost."""
    torch = "" if options.quick or options.smoke else torch_there()
    programs = bench.programs(torch)
    prepare(bench, sorted({CASES[name]["size"] for name in names}), programs)
    results = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": machine(),
        "gradflow": subprocess.run([bench.bin("gradflow"), "--version"], capture_output=True, text=True).stdout.strip(),
        "torch": {"torch": "torch, without torchdiffeq"}.get(torch, torch or "not importable"), "methods": bench.methods, "cases": {},
        "paper": paper(bench, 3 if options.smoke or options.quick else 9)}
    for name in names:
        chosen = [program for program in programs if name in program.cases and re.search(options.programs, program.name)
                  and (program.quick or not options.quick)]
        ladder = (3, 4) if options.smoke else (3, 4, 5) if options.quick else CASES[name]["ladder"]
        results["cases"][name] = solve_case(bench, name, chosen, options.rounds, ladder)
        Path(options.out).parent.mkdir(parents=True, exist_ok=True)
        Path(options.out).write_text(json.dumps(results, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build-bench", help="where bench-solve, bench-odeint_eigen and gradflow were built")
    parser.add_argument("--cases", help="some of: " + ", ".join(CASES))
    parser.add_argument("--programs", default="", help="a regular expression: those whose names it finds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default=str(HERE / "results" / "solves.json"))
    parser.add_argument("--quick", action="store_true", help="S and M, three rungs, one round")
    parser.add_argument("--smoke", action="store_true", help="S, two rungs, one round: that everything works")
    options = parser.parse_args()
    names = ["S"] if options.smoke else ["S", "M"] if options.quick else list(CASES)
    if options.cases:
        names = options.cases.split(",")
    if options.smoke or options.quick:
        options.rounds = 1
    with tempfile.TemporaryDirectory() as scratch:
        compare(Bench(options.build, Path(options.build) / "solves", scratch), names, options)


if __name__ == "__main__":
    main()
