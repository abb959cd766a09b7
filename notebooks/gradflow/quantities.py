"""What is computed from a run beyond its observables, each with its source (Yang, Kailkhura, Wang, Liang, NeurIPS 2024)."""
from fractions import Fraction

import numpy as np
import pandas as pd
import xarray as xr


def scores(run):
    """A(key, query) = k . q / sqrt(m) of the tracked words [t, key, query]: what enters the softmax (equation 1)."""
    A = run.observables.B / np.sqrt(run.attributes["width"])
    return A.assign_attrs(long_name="attention score A(key, query)", units="1")


def score_changes(run):
    """The change of the scores since t = 0 [t, key, query]."""
    A = scores(run)
    return (A - A.isel(t=0, drop=True)).assign_attrs(long_name="change of the attention score since t = 0", units="1")


def balance(run):
    """R(t) = (S_2 + S_3 + S_4 - S_1) / (S_1 - S_2) along t, S_c the sum of g_i over class c; NaN while S_1 <= S_2
    (automatic balancing of gradients, Lemmas 4.4 and 4.5)."""
    S1, S2, S3, S4 = (run.observables.gradient_sum.isel({"class": c}, drop=True) for c in range(4))
    return ((S2 + S3 + S4 - S1) / (S1 - S2)).where(S1 > S2).assign_attrs(long_name="balance of gradients R", units="1")


def targets_and_common(run):
    """The names of the two target words and of the common word (None where the task has none)."""
    names = run.task.word.values
    return tuple(names[run.task.attrs[role]] if role in run.task.attrs else None for role in ("target1", "target2", "common"))


def figure1_shapes(run):
    """Whether a run of the paper's experiment has the shapes of its Figure 1, as a pandas.Series of booleans, at the
    resolution of the records; the attention scores over Phase 2, (T1, T2)."""
    loss, A = run.observables.loss_class, scores(run)
    one, two, common = targets_and_common(run)
    A = A.sel(t=slice(run.T1[0], run.T2))
    moves = {(key, query): np.diff(A.sel(key=key, query=query)) for key in (one, two, common) for query in (one, two)}

    def rises_then_falls(name):
        values = loss.sel({"class": name}).values
        return bool(0 < values.argmax() < len(values) - 1 and values[-1] < values[0])

    return pd.Series({
        "I1 loss falls at once": bool((np.diff(loss.sel({"class": "I1"})) < 0).all()),
        "I2 loss rises, then falls": rises_then_falls("I2"),
        "I3 loss rises, then falls": rises_then_falls("I3"),
        "scores between targets rise": bool((moves[one, two] > 0).all() and (moves[two, one] > 0).all()),
        "scores of common for targets fall": bool((moves[common, one] < 0).all() and (moves[common, two] < 0).all()),
    })


def phase_numbers(run, rate=0.01):
    """What a picture in linear time hides, as a pandas.Series: T1, the same in gradient-descent steps of `rate` and as a share
    of the time to T2, the loss at T1 and T2, and how far attention and scores have moved at T2 (between records by a line)."""
    there, (T1, _), T2 = run.observables, run.T1, run.T2

    def at(t, name):
        return float(np.interp(t, there.t, there[name]))

    return pd.Series({"T1": T1, f"steps of {rate:g} to T1": T1 / rate, "T1 / T2": T1 / T2, "loss at T1": at(T1, "loss"),
                      "loss at T2": at(T2, "loss"), "largest change of attention": at(T2, "attention_shift"),
                      "largest change of a score": float(np.abs(score_changes(run).sel(t=T2, method="nearest")).max())})


def limit_of_balance(samples, length):
    """(R, L U t) as t -> infinity in the limit system of limit_answers(), exactly, as fractions; samples = None: n = infinity.

    With S_2 = S_3 = s, S_4 = 0: (3 + 2(L-3)/n) S_1 - 4 s = 1 and -2 S_1 + (3 + 6(L-2)/n) s = 1; R = (2s - S_1)/(S_1 - s),
    L U t = S_1 + 2s.
    """
    per_sample = Fraction(0) if samples is None else Fraction(1, samples)
    a, b = 3 + 2 * (length - 3) * per_sample, 3 + 6 * (length - 2) * per_sample
    determinant = a * b - 8
    S1, s = (b + 4) / determinant, (a + 2) / determinant
    return (2 * s - S1) / (S1 - s), S1 + 2 * s


def limit_answers(samples, length, until=200.0):
    """U t of `overtaken` and `classified` in the limit to which small starts and large widths tend: uniform attention, W_V at
    rest, U constant, start at zero, all fillers distinct; the paper's four classes 1/2, 1/6, 1/6, 1/6. With S_c = (1/n) sum
    of g_i over class c and time in units of 1/U

        x1' = S1 - S2,  x2' = S1 - S3,  x3' = S1 - S2 - S3 - S4,  a filler of sample i: f' = y_i g_i / n.

    x2 = x1 and S3 = S2 by symmetry, and the fillers of a class move alike, so that five variables are left. The times are good
    to 1e-9 of themselves; `balance` and `loss_Ut` are the limits of limit_of_balance().
    """
    from scipy.integrate import solve_ivp
    from scipy.special import expit

    share = np.array([1 / 2, 1 / 6, 1 / 6])  # of I1, of I2 (and of I3), of I4
    sign = np.array([1, -1, -1])

    def margins(x):
        one, common, fillers = x[0], x[1], x[2:]
        words = np.array([2 * one, one, 0]) + common
        return sign * (words + np.array([length - 3, length - 2, length - 1]) * fillers)

    def rates(_, x):
        g = expit(-margins(x))
        S = share * g
        return np.concatenate([[S[0] - S[1], S[0] - 2 * S[1] - S[2]], sign * g / samples])

    def classified(_, x):
        return margins(x).min()

    def overtaken(t, x):
        one, common = rates(t, x)[:2]
        return -common - one

    solution = solve_ivp(rates, (0, until), np.zeros(5), method="DOP853", rtol=1e-12, atol=1e-14,
                         events=(overtaken, classified), max_step=0.5)
    balance_limit, loss_limit = limit_of_balance(samples, length)
    last = [times[-1] if len(times) else np.nan for times in solution.t_events]
    return pd.Series({"overtaken": last[0], "classified": last[1], "balance": float(balance_limit),
                      "loss_Ut": float(loss_limit)})


def scaled_by_U(run):
    """What limit_answers() has, measured on a run: U(0) t of overtaken and classified, R and L U(0) t at the last record."""
    U = float(run.observables.U[0])
    return pd.Series({"overtaken": U * run.events.t["overtaken"], "classified": U * run.events.t["classified"],
                      "balance": float(balance(run)[-1]), "loss_Ut": float(run.observables.loss[-1]) * U * run.t_end})


def power_of_approach(run, limit, first, last):
    """The p with which R(t) - limit falls like t^p, by least squares between U(0) t = first and last."""
    R = balance(run)
    scaled = float(run.observables.U[0]) * R.t.values
    window = (scaled >= first) & (scaled <= last)
    return float(np.polyfit(np.log(scaled[window]), np.log(np.abs(R.values[window] - float(limit))), 1)[0])


def learned_scores(run, snapshot=-1):
    """The change of the attention scores of all words between t = 0 and a snapshot of the weights [key, query]."""
    root = np.sqrt(run.attributes["width"])
    states = run.states.isel(t=[0, snapshot])
    names = states.word.values
    change = [(states.W_K.values[i].T @ states.W_Q.values[i]) / root for i in (0, 1)]
    return xr.DataArray(change[1] - change[0], {"key": names, "query": names}, ("key", "query"),
                        attrs={"long_name": "change of the attention score since t = 0", "units": "1"})


def values_of_words(run, snapshot=-1):
    """G(k) = u . v_k, the linear MLP's value of every word, at a snapshot of the weights; u = W^T a."""
    state = run.states.isel(t=snapshot)
    u = state.W.values.T @ run.start.a.values
    return pd.Series(u @ state.W_V.values, index=pd.Index(state.word.values, name="word"), name="G")


def largest(matrix, count=10):
    """The entries of a [key, query] array that are largest in size, as a table."""
    table = matrix.to_series()
    order = table.abs().sort_values(ascending=False, kind="stable").index[:count]
    return table.loc[order].rename("change").reset_index()


def busiest_words(matrix, count=12):
    """The words in whose row or column of a [key, query] array the largest entries stand, in that order."""
    size = np.abs(matrix)
    reach = np.maximum(size.max("query").values, size.max("key").values)
    return list(matrix.key.values[np.argsort(-reach, kind="stable")[:count]])
