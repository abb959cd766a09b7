"""PyTorch's automatic differentiation as the right-hand side: of torchdiffeq's dopri5 where it can be imported, else of SciPy's RK45
(the same pair of Dormand and Prince, the same root-mean-square error norm)."""
import common
import torch
from scipy.integrate import RK45

try:
    import torchdiffeq
except ImportError:
    torchdiffeq = None

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
options = common.arguments(__doc__, ["torchdiffeq" if torchdiffeq else "scipy"])
problem = common.Problem(options.problem)
tokens, labels, a = (torch.from_numpy(array) for array in (problem.tokens, problem.labels, problem.a))
m = problem.W.shape[1]
sizes = [getattr(problem, name).size for name in common.NAMES]


def loss(x):
    W, W_V, W_K, W_Q = (part.view(getattr(problem, name).shape) for name, part in zip(common.NAMES, x.split(sizes)))
    keys, queries = (torch.nn.functional.embedding(tokens, matrix) for matrix in (W_K, W_Q))  # [n, L, m]
    values = (W_V @ (a @ W))[tokens]  # [n, L]
    attention = torch.softmax(keys @ queries.mT / m**0.5, dim=1)  # [n, key, query]
    logits = (values.unsqueeze(1) @ attention).sum(dim=(1, 2))
    return torch.nn.functional.softplus(-labels * logits).mean()


def gradient(t, x):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (result,) = torch.autograd.grad(loss(x), x)
    return -result


def solve(derivative, x):
    if torchdiffeq is None:
        return common.scipy_solve(RK45, derivative, x, options)
    times = torch.tensor([0.0, options.until])
    through_torch = lambda t, x: torch.from_numpy(derivative(float(t), x.numpy()))  # noqa: E731
    with torch.no_grad():
        result = torchdiffeq.odeint(through_torch, torch.from_numpy(x), times, rtol=options.rtol, atol=options.atol, method="dopri5")
    return result[-1].numpy(), None


common.main(options, problem, lambda t, x: gradient(t, torch.from_numpy(x)).numpy(), solve)
