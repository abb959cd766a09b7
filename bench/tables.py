"""Writes the tables of bench/README.md, between its markers, from what was measured.

    python3 bench/tables.py bench/results/solves.json bench/results/kernels.json bench/README.md
"""
import json
import statistics
import sys
from pathlib import Path

median = statistics.median


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def seconds(value):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1 or unit == "us":
            return f"{value * scale:.3g} {unit}"


def at_equal_error(results, cases, target):
    """Processor seconds and evaluations at that error, and how many times the first row's seconds."""
    default = f"gradflow, {results['methods'][0]}"
    names = list(dict.fromkeys(program for case in cases for program in results["cases"][case]["programs"]))
    rows = []
    for name in names:
        row = [name]
        for case in cases:
            programs = results["cases"][case]["programs"]
            ours, entry = (programs.get(program, {"at": {}})["at"].get(target) for program in (default, name))
            if not entry:
                row.append("" if name not in programs else "not bracketed")
                continue
            values = entry["processor_seconds"]
            cell = f"{seconds(median(values))}, {entry['evaluations']:.0f}"
            if ours and name != default:
                ratios = [a / b for a, b in zip(values, ours["processor_seconds"])]
                spread = f" ({min(ratios):.2g} to {max(ratios):.2g})" if len(ratios) > 1 else ""
                cell += f": {median(ratios):.2g}x{spread}"
            row.append(cell)
        rows.append(row)
    return table(["error " + target] + cases, rows)


def memory(results):
    """The largest memory, less what the same program takes at S, in states, at the middle rung. A command's, which only the process as a
    whole tells, is at S less than that of the Python that starts it; what gradflow's solve alone takes there is taken for it."""
    cases = [name for name in ("M", "L") if name in results["cases"]]
    small = results["cases"].get("S", {"programs": {}})["programs"]
    rows = []
    for name in dict.fromkeys(program for case in cases for program in results["cases"][case]["programs"]):
        row, least = [name], small.get(f"gradflow, {results['methods'][0]}" if "command" in name else name)
        for case in cases:
            entry = results["cases"][case]["programs"].get(name)
            if not entry or not least or "peak_bytes" not in least["rungs"][0]:
                row.append("")
                continue
            peak = entry["rungs"][len(entry["rungs"]) // 2]["peak_bytes"] - least["rungs"][0]["peak_bytes"]
            row.append(f"{peak / results['cases'][case]['state_bytes']:.1f}")
        rows.append(row)
    return table(["largest memory, in states"] + cases, rows) if any(any(row[1:]) for row in rows) else ""


def paper(results):
    rows = [[name, f"{1e3 * median(found['process_seconds']):.0f}", f"{1e3 * min(found['process_seconds']):.0f}",
             f"{1e3 * median(found['process_processor_seconds']):.0f}"] for name, found in results["paper"].items()]
    return table(["`data/paper.toml`, whole process", "wall ms, median", "least", "processor ms, median"], rows)


def kernel_rows(kernels):
    """Times by (kernel, size)."""
    found = {}
    for entry in kernels["benchmarks"]:
        name, _, size = entry["name"].rpartition("/")
        if not name.startswith("formulation") and entry.get("run_type") == "iteration":
            found.setdefault(name, {})[size] = entry
    return found


def kernel_table(kernels):
    found = kernel_rows(kernels)
    sizes = [size for size in ("S", "M", "L") if any(size in row for row in found.values())]
    rows = []
    for name, entries in found.items():
        cells = []
        for size in sizes:
            entry = entries.get(size)
            cells.append(f"{seconds(entry['cpu_time'] / 1e6)}, {entry['of_limit']:.2g}, {entry['passes']:.3g}" if entry else "")
        rows.append([name] + cells)
    return table(["time, times its limit, passes over the state"] + sizes, rows)


def roofline(kernels):
    context = kernels["context"]
    rates = {float(name[10:]): [float(part) / 1e9 for part in text.split()]
             for name, text in context.items() if name.startswith("bandwidth_")}
    rows = [[f"{size / 1e6:.3g}"] + [f"{rate:.3g}" for rate in rates[size]] for size in sorted(rates)]
    return (f"Fused multiply-adds, one thread: {float(context['flop_peak']) / 1e9:.3g} GFLOP/s. Bandwidths in GB/s, by MB of memory "
            "that a copy goes through:\n\n" + table(["MB", "read", "copy", "triad"], rows))


def formulations(kernels):
    """For each task the width from which on the coupled step is the faster one, between two measured widths."""
    found = {}
    for entry in kernels["benchmarks"]:
        parts = entry["name"].split("/")
        if parts[0] == "formulation" and entry.get("run_type") == "iteration":
            found.setdefault((parts[1], int(parts[2][2:])), {})[parts[3]] = entry["cpu_time"]
    rows = []
    for (kind, words), times in found.items():
        coupled = times.pop("coupled")
        by_width = sorted((int(name[2:]), time) for name, time in times.items())
        wins = [width for width, time in by_width if time > coupled]
        loses = [width for width, time in by_width if time <= coupled and not (wins and width > wins[0])]
        verdict = "never" if not wins else f"{loses[-1]} to {wins[0]}" if loses else f"{wins[0]} or less"
        reduced = ", ".join(f"{width}: {seconds(time / 1e6)}" for width, time in by_width)
        rows.append([kind, str(words), seconds(coupled / 1e6), reduced, verdict])
    return table(["task", "d", "coupled step", "reduced step at m", "coupled is faster from m"], rows)


def main(solves, kernels, readme):
    results = json.loads(Path(solves).read_text())
    kernels = json.loads(Path(kernels).read_text())
    machine = results["machine"]
    vector = "AVX-512" if "avx512f" in machine["flags"] else "AVX2" if "avx2" in machine["flags"] else "no AVX2"
    short = [name for name in ("S", "M", "L") if name in results["cases"]]
    long = [name for name in results["cases"] if " to " in name]
    parts = [
        f"Measured on {results['date'][:10]}: {machine['model']} ({vector}), {machine['processors']} processors, "
        f"load {machine['load']:.1f}, {machine['system']}; {' '.join(results['gradflow'].split())}. PyTorch: {results['torch']}.",
        "Processor seconds and evaluations of the gradient at equal error, and how many times the seconds of the first row "
        "(medians of the rounds, and their range):",
        at_equal_error(results, short, "1e-05"), at_equal_error(results, short, "1e-06")]
    if long:
        parts.append(at_equal_error(results, long, "1e-06"))
    parts += [memory(results), paper(results), roofline(kernels), kernel_table(kernels), formulations(kernels)]
    text = Path(readme).read_text()
    begin, end = "<!-- results: written by tables.py -->", "<!-- end of results -->"
    head, rest = text.split(begin)
    Path(readme).write_text(head + begin + "\n\n" + "\n\n".join(part for part in parts if part) + "\n\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main(*sys.argv[1:4])
