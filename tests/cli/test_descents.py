"""The descents of `gradflow compare` against the update rules written out on the oracle's gradient of all weights, which
shares nothing with the program, and against the Hessian made of it. GRADFLOW_DESCENT_STEPS: how many steps (1000)."""
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reference"))
from cases import Case, random_start, random_task, write_case  # noqa: E402
from oracle import MATRICES, Model  # noqa: E402

COMMAND = os.environ.get("GRADFLOW_COMMAND", "build/bin/gradflow")
STEPS = int(os.environ.get("GRADFLOW_DESCENT_STEPS", 1000))
METHODS = ["gd", "heavy-ball", "nesterov", "adam", "rmsprop", "sign"]
RATE = 0.01


def case():
    rng = np.random.default_rng(31)
    task = random_task(rng, 18, 14, range(3, 7), repeats=True)
    # Wide enough for the reduced flow to run in compressed coordinates, where its rules rotate.
    return Case("descents", task, random_start(rng, 10, 40, 14), RATE * STEPS)


def update_rule(method, gradient, x, eta, steps):
    """x after each step; PyTorch's rules with their defaults, momentum 0.9."""
    v, s = np.zeros_like(x), np.zeros_like(x)
    for k in range(1, steps + 1):
        g = gradient(x)
        if method == "gd":
            step = g
        elif method == "heavy-ball":
            v = step = 0.9 * v + g
        elif method == "nesterov":
            v = 0.9 * v + g
            step = g + 0.9 * v
        elif method == "adam":
            v, s = 0.9 * v + 0.1 * g, 0.999 * s + 0.001 * g * g
            step = v / (1 - 0.9**k) / (np.sqrt(s / (1 - 0.999**k)) + 1e-8)
        elif method == "rmsprop":
            s = 0.99 * s + 0.01 * g * g
            step = g / (np.sqrt(s) + 1e-8)
        else:
            step = np.sign(g)
        x = x - eta * step
        yield x


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The case, its model, and the comparison's file. Momentum to a tenth of the steps stands where gd stands."""
    folder, given = tmp_path_factory.mktemp("descents"), case()
    (folder / "descents.toml").write_text(write_case(given, folder) + f"""
[solver]
until = {given.until!r}
rtol = 1e-6
error_bars = false
[save]
records = 25
[descent]
methods = {METHODS}
rates = [{RATE}]
curvature = 5
""")
    result = subprocess.run([COMMAND, "compare", "descents.toml", "--quiet"], cwd=folder, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return given, Model(given.task, given.start), folder / "descents-compare.h5"


# Sign descent amplifies rounding for ever: it jumps by whole steps around kinks, so it is followed for as long as no
# entry of the gradient is small enough for its sign to be rounding.
@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_the_rule(made, method):
    given, model, path = made
    number = METHODS.index(method)
    with h5py.File(path) as file:
        run = file[f"descents/{number}"]
        times, losses = run["t"][:], run["loss"][:]
        last = [run[f"states/{name}"][-1] for name in MATRICES]
        per_step = run.attrs["t_per_step"]
    total = round(times[-1] / per_step)
    assert total == (STEPS if method not in ("heavy-ball", "nesterov") else STEPS // 10)
    at = {round(t / per_step): loss for t, loss in zip(times, losses)}
    certain = np.inf

    def gradient(x):
        nonlocal certain
        g = model.loss_and_gradient(x)[1]
        if method == "sign":
            certain = min(certain, np.abs(g[g != 0]).min())
        return g

    for k, x in enumerate(update_rule(method, gradient, model.y0, RATE, total), start=1):
        if method == "sign" and certain < 1e-12:
            assert k > 3
            break
        if k in at:
            # Descents follow the same finite recursion: what differs is the rounding of each step, which a stable
            # descent does not amplify beyond the bar asked of it.
            assert at[k] == pytest.approx(model.loss_and_gradient(x)[0], rel=1e-10, abs=1e-14), k
    else:
        for name, own, expected in zip(MATRICES, last, model.weights(x)):
            assert np.linalg.norm(own - expected) <= 1e-10 * np.linalg.norm(expected), name


def dense_hessian(model, x):
    """By central differences of the oracle's gradient, good to about 1e-9 of its largest entry, then symmetric."""
    h, H = 1e-5, np.empty((x.size, x.size))
    for j in range(x.size):
        e = np.zeros_like(x)
        e[j] = h
        H[j] = (8 * (model.loss_and_gradient(x + e)[1] - model.loss_and_gradient(x - e)[1])
                - (model.loss_and_gradient(x + 2 * e)[1] - model.loss_and_gradient(x - 2 * e)[1])) / (12 * h)
    return (H + H.T) / 2


def test_sharpness_is_the_dense_hessians(made):
    given, model, path = made
    with h5py.File(path) as file:
        group, states = file["curvature"], file["flow/states"]
        assert group["t"][0] == 0 and group["t"][-1] == pytest.approx(given.until)
        for sample, snapshot in ((0, 0), (-1, -1)):
            x = np.concatenate([np.ravel(states[name][snapshot]) for name in MATRICES])
            spectrum = np.linalg.eigvalsh(dense_hessian(model, x))
            assert group["sharpness"][sample] == pytest.approx(spectrum[-1], rel=1e-6)
            # Its residual's bar is 1e-6 of the sharpness; but it lies in a crowd, so another may be taken for it.
            assert group["curvature_min"][sample] == pytest.approx(spectrum[0], abs=2e-5 * spectrum[-1])
            gradient = model.loss_and_gradient(x)[1]
            assert group["gradient"][sample] == pytest.approx(np.linalg.norm(gradient), rel=1e-8)
        assert group["eta_sharpness_start"][0] == RATE * group["sharpness"][0]
        limits = dict(zip(METHODS, group["stability_limit"][:]))
        assert limits["gd"] == 2 and limits["heavy-ball"] == pytest.approx(3.8) and np.isnan(limits["adam"])
