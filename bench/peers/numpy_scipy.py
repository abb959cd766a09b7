"""SciPy's RK45 and DOP853 on a careful NumPy gradient: all samples at once in batched products, no loop over samples."""
import common
import numpy as np
from scipy.integrate import DOP853, RK45
from scipy.sparse import csr_matrix
from scipy.special import expit


class Gradient:
    def __init__(self, problem):
        self.problem = problem
        self.d, self.m = problem.W_V.shape
        places = problem.tokens.ravel()
        # Sums over the places at which a word stands; np.add.at would take many times as long.
        self.scatter = csr_matrix((np.ones(places.size), (places, np.arange(places.size))), shape=(self.d, places.size))

    def __call__(self, t, x):
        W, W_V, W_K, W_Q = self.problem.unpack(x)
        a, tokens, labels = self.problem.a, self.problem.tokens, self.problem.labels
        scale = 1 / np.sqrt(self.m)
        u = a @ W
        G = W_V @ u
        keys, queries, values = W_K[tokens], W_Q[tokens], G[tokens]  # [n, L, m], [n, L]
        P = keys @ queries.transpose(0, 2, 1)  # [n, key, query]
        P *= scale
        P -= P.max(axis=1, keepdims=True)
        np.exp(P, out=P)
        P /= P.sum(axis=1, keepdims=True)
        heads = np.matmul(values[:, None, :], P)[:, 0, :]  # [n, query]
        r = labels * expit(-labels * heads.sum(axis=1)) / len(labels)
        gV = self.scatter @ (r[:, None] * P.sum(axis=2)).ravel()
        P *= values[:, :, None] - heads[:, None, :]
        P *= (scale * r)[:, None, None]  # gA / sqrt(m)
        dx = np.empty_like(x)
        dW, dW_V, dW_K, dW_Q = self.problem.unpack(dx)
        np.outer(a, gV @ W_V, out=dW)
        np.outer(gV, u, out=dW_V)
        dW_K[...] = self.scatter @ (P @ queries).reshape(-1, self.m)
        dW_Q[...] = self.scatter @ (P.transpose(0, 2, 1) @ keys).reshape(-1, self.m)
        return dx


options = common.arguments(__doc__, ["RK45", "DOP853"])
solver = {"RK45": RK45, "DOP853": DOP853}[options.method]
problem = common.Problem(options.problem)
common.main(options, problem, Gradient(problem), lambda f, x: common.scipy_solve(solver, f, x, options))
