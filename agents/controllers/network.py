"""The network of a learned policy: from what the cortex sees at the present setting to the next setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_EDGE = 0.995  # settings nearer to the edge of the box are moved here before atanh, which has no value at the edge
_CLIP = 5.0  # standardised inputs beyond this say no more than this


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a policy's network.

    Attributes:
        n_parameters: P.
        n_statistics, n_terms: lengths of the observation's ``statistics`` and ``terms``.
        has_image: whether it looks at the observation's ``image`` (3, 48, 48).
        n_hidden: width of the two hidden layers.
    """

    n_parameters: int
    n_statistics: int
    n_terms: int
    has_image: bool = True
    n_hidden: int = 96


class PolicyNetwork(nn.Module):
    """u' = tanh(atanh(u) + f(image, statistics, terms, u)): always inside the box; f is 0 before training.

    The image passes three strided convolutions and a 3 x 3 average pool; statistics and terms are standardised by
    buffers measured on training data (:meth:`standardise`).
    """

    statistics_mean: Tensor
    statistics_std: Tensor
    terms_mean: Tensor
    terms_std: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        for name, n in (("statistics", shape.n_statistics), ("terms", shape.n_terms)):
            self.register_buffer(f"{name}_mean", torch.zeros(n))
            self.register_buffer(f"{name}_std", torch.ones(n))
        n_inputs = shape.n_statistics + shape.n_terms + shape.n_parameters
        if shape.has_image:
            self.eye = nn.Sequential(
                nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(),
                nn.Conv2d(16, 24, 3, stride=2), nn.ReLU(),
                nn.Conv2d(24, 24, 3, stride=2), nn.ReLU(),
                nn.AdaptiveAvgPool2d(3), nn.Flatten(),
            )  # fmt: skip
            n_inputs += 24 * 9
        self.trunk = nn.Sequential(
            nn.Linear(n_inputs, shape.n_hidden), nn.ReLU(), nn.Linear(shape.n_hidden, shape.n_hidden), nn.ReLU()
        )
        self.head = nn.Linear(shape.n_hidden, shape.n_parameters)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """The next settings (N, P), in (-1, 1).

        Args:
            obs: ``statistics`` (N, D), ``terms`` (N, T), ``u`` (N, P); and with an eye ``image`` (N, 3, 48, 48), 0-255.
        """
        u = obs["u"].float().clamp(-_EDGE, _EDGE)
        parts = [self._standard("statistics", obs), self._standard("terms", obs), u]
        if self.shape.has_image:
            parts.append(self.eye(obs["image"].float() / 127.5 - 1))
        change: Tensor = self.head(self.trunk(torch.cat(parts, 1)))
        return torch.tanh(torch.atanh(u) + change)

    def standardise(self, obs: Mapping[str, Tensor]) -> None:
        """Measure the scale of the inputs on N observations; entries that do not vary there are left out."""
        for name in ("statistics", "terms"):
            x = obs[name].float()
            std = x.std(0)
            getattr(self, f"{name}_mean").copy_(x.mean(0))
            getattr(self, f"{name}_std").copy_(torch.where(std > 1e-6, std, torch.full_like(std, 1e6)))

    def _standard(self, name: str, obs: Mapping[str, Tensor]) -> Tensor:
        x: Tensor = (obs[name].float() - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_std")
        return x.clamp(-_CLIP, _CLIP)
