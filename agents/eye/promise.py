"""What a place will show in focus, told from one look at it, in focus or not: learned from places that were focused.

The hand-written guess (:func:`ciliary.agents.eye.settle.promise`) undoes the blur that the likeliest distance speaks
for. A small network that saw what came of such looks knows better. Its teacher is the eye itself, a few looks later: no
labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ciliary.agents.eye.settle import promise, shown
from ciliary.envs.eye.terms import STATISTICS

_OF_OTHERS = ("share_seen", "resolved")  # what was seen elsewhere
_OWN = [i for i, name in enumerate(STATISTICS) if name not in _OF_OTHERS]
N_FEATURES = len(_OWN) + 4
_N_HIDDEN = 64
_CLIP = 5.0  # standardised features beyond this say no more than this
_RATE, _DECAY, _BATCH, _N_EPOCHS = 2e-3, 0.05, 256, 30


class PromiseNetwork(nn.Module):
    """From features (N, N_FEATURES) to values (N,), higher is better; features are standardised by buffers."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_FEATURES))
        self.register_buffer("std", torch.ones(N_FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, _N_HIDDEN), nn.GELU(),
            nn.Linear(_N_HIDDEN, _N_HIDDEN), nn.GELU(),
            nn.Linear(_N_HIDDEN, 1),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Values (N,)."""
        x = ((features - self.mean) / self.std).clamp(-_CLIP, _CLIP)
        out: Tensor = self.layers(x)[:, 0]
        return out


@dataclass(frozen=True, eq=False)
class PlacePromise:
    """A trained network, asked of one look at a time."""

    network: PromiseNetwork

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> PlacePromise:
        """From the network's tensors.

        Raises:
            RuntimeError: others than it has.
        """
        network = PromiseNetwork()
        network.load_state_dict(dict(tensors))
        return cls(network.eval().requires_grad_(False))

    def tensors(self) -> dict[str, Tensor]:
        """The network's, to be written."""
        return {name: value.contiguous() for name, value in self.network.state_dict().items()}

    def __call__(self, obs: Mapping[str, Any], info: Mapping[str, Any]) -> float:
        """The value, higher is better, of the place that was looked at."""
        with torch.no_grad():
            return float(self.network(torch.from_numpy(look_features(obs, info))[None])[0])


def look_features(obs: Mapping[str, Any], info: Mapping[str, Any]) -> np.ndarray:
    """What a look tells of its place, (N_FEATURES,) float32."""
    told, eye = np.asarray(obs["statistics"], dtype=np.float64), info["eye"]
    guess = promise(told, eye, float(info["px_per_deg"]))
    more = [guess, shown(obs), float(eye["focus_dpt"]), np.log2(float(eye["pupil_mm"]))]
    return np.concatenate([told[_OWN], more]).astype(np.float32)


def fit_promise(features: Sequence[np.ndarray], values: Sequence[float], *, seed: int) -> PlacePromise:
    """Least squares of what places came to show on looks at them.

    Args:
        features: N of :func:`look_features`.
        values: N, higher is better.
        seed: of first weights and of the order.
    """
    order = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = PromiseNetwork()
    x, y = torch.from_numpy(np.stack(features)), torch.tensor(values, dtype=torch.float32)
    network.mean.copy_(x.mean(0))
    network.std.copy_(x.std(0).clamp_min(1e-6))
    with torch.no_grad():
        network.layers[-1].bias.copy_(y.mean())  # type: ignore[operator]
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    for epoch in range(_N_EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - epoch / _N_EPOCHS)
        for rows in torch.randperm(len(x), generator=order).split(_BATCH):
            loss = (network(x[rows]) - y[rows]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return PlacePromise(network.eval().requires_grad_(False))
