"""Models of the score from label-free inputs: forms to be compared. All take (C, S, F) inputs and (C, S) scores.

What counts is the order within a case, since settings are chosen image by image; the level across cases is kept too,
so that a prediction can be read as a score. Each loss is therefore the squared error plus ``WITHIN`` times the squared
error of deviations from the case's mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls

from ciliary.envs.objective.calibration import Calibration

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]
WITHIN = 3.0


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted model: ``predict`` maps (C, S, F) to (C, S); ``layers`` if it can be shipped as a calibration."""

    predict: Callable[[np.ndarray], np.ndarray]
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    layers: Layers | None = None


Fit = Callable[..., Fitted]  # (x, y, *, seed) -> Fitted


def standardise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale (F,) of inputs (C, S, F); a constant input gets scale 1."""
    flat = x.reshape(-1, x.shape[-1])
    scale = flat.std(0)
    return flat.mean(0), np.where(scale > 1e-6, scale, 1.0).astype(np.float32)


def squash(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Standardised inputs, softly clipped as :meth:`ciliary.envs.objective.calibration.Calibration.predict` does."""
    return (Calibration.CLIP * np.tanh((x - mean) / scale / Calibration.CLIP)).astype(np.float32)


def fit_line(x: np.ndarray, y: np.ndarray, *, seed: int = 0, ridge: float = 1.0) -> Fitted:
    """Ridge regression; ``ridge`` is the penalty per observation."""
    del seed
    mean, scale = standardise(x)
    z = squash(x, mean, scale)
    a, b = _stack(z, y)
    n = x.shape[0] * x.shape[1]
    weight = np.linalg.solve(a.T @ a + ridge * n * np.eye(a.shape[1]), a.T @ b).astype(np.float32)
    bias = np.float32(y.mean() - (z @ weight).mean())
    return _linear(mean, scale, weight, bias)


def fit_terms(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Fitted:
    """Non-negative weights on losses: the score falls with every input (Lawson & Hanson 1974, NNLS)."""
    del seed
    mean, scale = standardise(x)
    z = squash(x, mean, scale)
    a, b = _stack(z, y)
    weight = -nnls(-a, b)[0].astype(np.float32)
    return _linear(mean, scale, weight, np.float32(y.mean() - (z @ weight).mean()))


def fit_network(
    x: np.ndarray,
    y: np.ndarray,
    *,
    seed: int = 0,
    hidden: int = 16,
    n_networks: int = 8,
    n_epochs: int = 250,
    learning_rate: float = 5e-3,
    weight_decay: float = 3e-2,
) -> Fitted:
    """Small networks with one hidden layer, each on a bootstrap of the cases, their mean predicted (Breiman 1996).

    The mean of such networks is again one network with one, wider, hidden layer: that is what is returned.
    """
    mean, scale = standardise(x)
    z, target = torch.from_numpy(squash(x, mean, scale)), torch.from_numpy(np.asarray(y, np.float32))
    n_cases, _, n_inputs = x.shape
    rng = torch.Generator().manual_seed(seed)
    w1 = torch.randn(n_networks, n_inputs, hidden, generator=rng) / n_inputs**0.5
    w2 = torch.randn(n_networks, hidden, generator=rng) / hidden**0.5
    b1, b2 = torch.zeros(n_networks, hidden), torch.full((n_networks,), float(target.mean()))
    drawn = torch.randint(0, n_cases, (n_networks, n_cases), generator=rng)
    count = torch.stack([torch.bincount(row, minlength=n_cases).float() for row in drawn])  # (networks, cases)
    parameters = [p.requires_grad_() for p in (w1, b1, w2, b2)]
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_epochs)
    for _ in range(n_epochs):
        hid = (torch.einsum("csf,nfh->ncsh", z, w1) + b1[:, None, None]).relu()
        error = torch.einsum("ncsh,nh->ncs", hid, w2) + b2[:, None, None] - target
        within = error - error.mean(2, keepdim=True)
        loss = ((error.square().mean(2) + WITHIN * within.square().mean(2)) * count).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    weight_in, bias_in, weight_out, bias_out = (p.detach().numpy() for p in parameters)
    first = (weight_in.transpose(0, 2, 1).reshape(-1, n_inputs).copy(), bias_in.reshape(-1))
    second = ((weight_out / n_networks).reshape(1, -1), bias_out.mean(keepdims=True))

    def predict(x: np.ndarray) -> np.ndarray:
        return (np.maximum(squash(x, mean, scale) @ first[0].T + first[1], 0) @ second[0].T + second[1])[..., 0]

    return Fitted(predict, mean, scale, (first, second))


def fit_ranking(x: np.ndarray, y: np.ndarray, *, seed: int = 0, n_pairs: int = 200_000, ridge: float = 1e-3) -> Fitted:
    """A line that orders pairs of settings of a case: logistic loss weighted by the stakes (Burges et al. 2005)."""
    rng = np.random.default_rng(seed)
    mean, scale = standardise(x)
    z = squash(x, mean, scale)
    n_cases, n_settings, n_inputs = x.shape
    c, i, j = (rng.integers(0, n, n_pairs) for n in (n_cases, n_settings, n_settings))
    difference = torch.from_numpy(z[c, i] - z[c, j])
    gain = torch.from_numpy(np.asarray(y[c, i] - y[c, j], np.float32))
    weight = torch.zeros(n_inputs, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = (gain.abs() * torch.nn.functional.softplus(-torch.sign(gain) * (difference @ weight))).mean()
        loss = loss + ridge * gain.abs().mean() * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    direction = weight.detach().numpy()
    raw = z @ direction
    # brought to the score's scale by regression on it within cases
    spread = raw - raw.mean(1, keepdims=True)
    slope = np.float32((spread * (y - y.mean(1, keepdims=True))).sum() / max((spread**2).sum(), 1e-9))
    return _linear(mean, scale, direction * slope, np.float32(y.mean() - slope * raw.mean()))


def fit_trees(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Fitted:
    """Extremely randomised trees (Geurts et al. 2006): for comparison only, they have no gradient to ship."""
    from sklearn.ensemble import ExtraTreesRegressor

    model = ExtraTreesRegressor(200, min_samples_leaf=8, max_features=0.4, random_state=seed)
    model.fit(x.reshape(-1, x.shape[-1]), np.asarray(y).ravel())
    return Fitted(lambda x: model.predict(x.reshape(-1, x.shape[-1])).reshape(x.shape[:2]))


FORMS: Mapping[str, Fit] = {
    "weighted terms": fit_terms,
    "line": fit_line,
    "pairwise ranking": fit_ranking,
    "network": fit_network,
    "trees": fit_trees,
}


def _stack(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a least squares problem: deviations from the case's mean, and the cases' means."""
    n_settings = z.shape[1]
    within = np.sqrt(1 + WITHIN) * (z - z.mean(1, keepdims=True))
    level = np.sqrt(n_settings) * (z.mean(1) - z.mean((0, 1)))
    deviation = np.sqrt(1 + WITHIN) * (y - y.mean(1, keepdims=True))
    means = np.sqrt(n_settings) * (y.mean(1) - y.mean())
    return np.concatenate([within.reshape(-1, z.shape[2]), level]), np.concatenate([deviation.ravel(), means])


def _linear(mean: np.ndarray, scale: np.ndarray, weight: np.ndarray, bias: np.float32) -> Fitted:
    layers: Layers = ((weight[None].astype(np.float32), np.array([bias], np.float32)),)
    return Fitted(lambda x: squash(x, mean, scale) @ weight + bias, mean, scale, layers)
