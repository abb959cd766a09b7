"""Random tasks and starts for the oracle's tests, and the files that hand them to the command."""
import json
from dataclasses import dataclass

import h5py
import numpy as np

from oracle import MATRICES, Products, Start, Task


@dataclass
class Limit:
    """A start of kind "limit": the sizes m and m1, and the standard deviations of W, W_V, W_K, W_Q."""

    width: int
    hidden: int
    deviations: tuple

    def products(self, words):
        """Columns that are orthogonal to each other and to u, and as long as Gaussian ones are on average."""
        W, V, K, Q = (self.width * s**2 for s in self.deviations)
        one, zero = np.eye(words), np.zeros((words, words))
        return Products(np.zeros(words), W * self.hidden, V * one, zero, K * one, Q * one, self.width, self.hidden)


@dataclass
class Case:
    name: str
    task: Task
    start: object  # a Start, or a Limit
    until: float
    rates: tuple = (1, 1, 1, 1)
    json_lines: bool = False
    also: tuple = ()  # words that are tracked beside the targets and the common word

    def tracked(self):
        """The tracked words, in the order in which a run's file has them."""
        return [*self.task.targets, *([] if self.task.common is None else [self.task.common]), *self.also]

    def coupled_words(self):
        """The words whose inner products a coupled run keeps: those in a sample and the tracked ones."""
        return sorted({*self.tracked(), *(k for sample in self.task.tokens for k in sample)})


def random_task(rng, n, d, lengths, targets=(0, 1), common=2, repeats=False, flipped=0):
    """n samples in turn of the classes I1, I2, I1, I3, I1, I4 (the paper's fractions): the class's words, then
    fillers up to a length drawn from `lengths` (never fewer than the class's words), shuffled. With `repeats` a
    filler may also be a word that the sample has already. `flipped` samples get the wrong label."""
    fillers = [k for k in range(d) if k not in (*targets, common)]
    tokens, labels = [], []
    for i in range(n):
        c = (0, 1, 0, 2, 0, 3)[i % 6]
        words = [[targets[0], targets[1]], [targets[0]], [targets[1]], []][c] + ([] if common is None else [common])
        length = max(int(rng.choice(lengths)), len(words), 1)
        while len(words) < length:
            again = repeats and words and rng.random() < 0.4
            words.append(int(rng.choice(words)) if again else int(rng.choice(fillers)))
        tokens.append([int(k) for k in rng.permutation(words)])
        labels.append(1 if c == 0 else -1)
    for i in rng.choice(n, flipped, replace=False):
        labels[i] = -labels[i]
    return Task(d, tokens, np.array(labels), tuple(targets), common)


def random_start(rng, m1, m, d, kind="kaiming-normal", scale=None):
    """Gaussian, uniform or orthogonal weights; fan_in is m for W, d for the others. `scale`: one standard deviation or
    (W, W_V, W_K, W_Q). Orthogonal (m >= 2 d): columns of length sqrt(m) times the deviation, u and the columns of W_V
    orthogonal to each other, so are the columns of W_K and W_Q; along the axes, so that G = 0 and B = 0 exactly."""
    shapes = [(m1, m), (m, d), (m, d), (m, d)]
    if kind == "kaiming-normal":
        matrices = [rng.standard_normal(s) * np.sqrt(2 / s[1]) for s in shapes]
    elif kind == "kaiming-uniform":
        matrices = [rng.uniform(-1, 1, s) * np.sqrt(6 / s[1]) for s in shapes]
    else:
        scales = np.broadcast_to(scale, 4)
        matrices = [rng.standard_normal(s) * x for s, x in zip(shapes, scales)]
    a = rng.choice([-1.0, 1.0], m1)
    if kind == "orthogonal":
        s = np.sqrt(m) * scales
        uV, KQ = (rng.permutation(np.eye(m))[:, : 2 * d] for _ in range(2))
        W = s[0] * np.outer(a, uV[:, 0]) / np.sqrt(m1)
        matrices = [W, s[1] * uV[:, 1 : d + 1], s[2] * KQ[:, :d], s[3] * KQ[:, d:]]
    return Start(*matrices, a)


def random_case(seed):
    """A case with everything drawn from the seed: sizes, lengths, places of the words, scale of the start, horizon."""
    rng = np.random.default_rng(seed)
    d, m, m1 = int(rng.integers(5, 14)), int(rng.integers(3, 16)), int(rng.integers(4, 25))
    special = rng.choice(d, 3, replace=False)
    common = None if rng.random() < 0.15 else int(special[2])
    lengths = np.arange(1, 8) if rng.random() < 0.5 else [int(rng.integers(3, 7))]
    n = int(rng.integers(6, 25))
    flipped = int(rng.random() < 0.2)
    task = random_task(rng, n, d, lengths, (int(special[0]), int(special[1])), common, rng.random() < 0.5, flipped)
    kind = rng.choice(["kaiming-normal", "kaiming-uniform", "gaussian"])
    start = random_start(rng, m1, m, d, kind, 10 ** rng.uniform(-1.7, 0, 4))
    rates = tuple(rng.choice([0, 0.5, 1, 2], 4)) if rng.random() < 0.1 else (1, 1, 1, 1)
    # A wrong label can make the data impossible to fit, and then the steps grow with t, not with its logarithm.
    until = min(float(10 ** rng.uniform(1, 4)), 40.0 if flipped else np.inf)
    return Case(f"random-{seed}", task, start, until, rates, bool(rng.random() < 0.3))


def write_case(case, folder):
    """Writes the task and the start into `folder`; returns the settings' [task] and [model] sections."""
    task = case.task
    places = [f"targets = [{task.targets[0] + 1}, {task.targets[1] + 1}]"]
    if task.common is not None:  # left out beside `targets`, there is none
        places.append(f"common = {task.common + 1}")
    if case.json_lines:
        lines = [json.dumps({"tokens": x, "label": int(y)}) for x, y in zip(task.tokens, task.labels)]
        (folder / "task.jsonl").write_text("\n".join(lines) + "\n")
        places += ['path = "task.jsonl"', f"words = {task.words}"]
    else:
        padded = np.full((len(task.tokens), max(map(len, task.tokens))), -1)
        for row, sample in zip(padded, task.tokens):
            row[: len(sample)] = sample
        with h5py.File(folder / "task.h5", "w") as file:
            file["tokens"], file["labels"] = padded, np.asarray(task.labels, int)
            file.attrs["words"] = task.words
        places.append('path = "task.h5"')
    if isinstance(case.start, Limit):
        model = [f"width = {case.start.width}", f"hidden = {case.start.hidden}", "[model.start]", 'kind = "limit"']
        model += [f"{name} = {float(s)!r}" for name, s in zip(MATRICES, case.start.deviations)]
    else:
        with h5py.File(folder / "start.h5", "w") as file:
            for name, value in vars(case.start).items():
                file[name] = value
        model = ["[model.start]", 'kind = "file"', 'path = "start.h5"']
    return "\n".join(["[task]", 'kind = "file"', *places, "", "[model]", *model, ""])


def write_experiment(case, folder, formulation, method, rtol=1e-10, atol=1e-12, records=12):
    """Writes the case and its experiment into `folder`; returns the experiment's path."""
    rates = ", ".join(f"{name} = {float(rate)!r}" for name, rate in zip(MATRICES, case.rates))
    words = f"words = {[k + 1 for k in case.tracked()]}\n" if case.also else ""
    settings = write_case(case, folder) + f"""
[flow]
formulation = "{formulation}"
rates = {{ {rates} }}

[solver]
method = "{method}"
rtol = {rtol!r}
atol = {atol!r}
until = {float(case.until)!r}

[save]
records = {records}
states = 3
{words}"""
    path = folder / "experiment.toml"
    path.write_text(settings)
    return path


def limit_case(n=60, L=5, until=12.0):
    """The limit system of uniform attention with W, W_K and W_Q frozen, W_V starting at zero and u = 1, where G' is the
    sum of the signed residuals of a word's samples: all fillers distinct, and width and hidden width of 1 lose nothing.
    Overtaken at t = 3.84644 and all samples correct at t = 6.90159 for n = 60, L = 5."""
    tokens, labels, filler = [], [], 3
    for i in range(n):
        words = [[0, 1, 2], [0, 2], [0, 1, 2], [1, 2], [0, 1, 2], [2]][i % 6]
        tokens.append(words + list(range(filler, filler + L - len(words))))
        filler += L - len(words)
        labels.append(1 if i % 2 == 0 else -1)
    zero = np.zeros((1, filler))
    start = Start(np.ones((1, 1)), zero, zero, zero, np.ones(1))
    return Case("limit", Task(filler, tokens, np.array(labels)), start, until, (0, 1, 0, 0))
