"""The network of a learned eye: from what it sees and remembers to a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_CLIP = 5.0  # standardised inputs beyond this say no more than this
_N_MAP = 32


@dataclass(frozen=True)
class EyeNetworkShape:
    """Sizes of a network.

    Attributes:
        vectors: entries of the observation that are vectors, and their lengths, in the order in which they are read.
        n_commands: numbers that it gives.
        has_maps: whether it looks at ``glance`` (3, 36, 72) and ``priority`` (1, 36, 48).
        n_hidden: width of the two hidden layers.
    """

    vectors: Mapping[str, int]
    n_commands: int = 4
    has_maps: bool = False
    n_hidden: int = 64

    @property
    def n_inputs(self) -> int:
        """Of all vectors together."""
        return sum(self.vectors.values())


class EyeEncoder(nn.Module):
    """Observations as one row of numbers: vectors standardised by buffers, maps through two strided convolutions."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: EyeNetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape.n_inputs))
        self.register_buffer("std", torch.ones(shape.n_inputs))
        self.n_outputs = shape.n_inputs + (2 * _N_MAP if shape.has_maps else 0)
        if shape.has_maps:
            self.glance, self.priority = _small_cnn(3, 6 * 12), _small_cnn(1, 6 * 8)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """(N, n_outputs); maps are 0 .. 255, or 0 .. 1 as floats."""
        parts = [((self.joined(obs) - self.mean) / self.std).clamp(-_CLIP, _CLIP)]
        if self.shape.has_maps:
            parts += [getattr(self, name)(_unit(obs[name])) for name in ("glance", "priority")]
        return torch.cat(parts, 1)

    def joined(self, obs: Mapping[str, Tensor]) -> Tensor:
        """All vectors, (N, n_inputs)."""
        return torch.cat([obs[name].float() for name in self.shape.vectors], 1)

    def standardise(self, obs: Mapping[str, Tensor]) -> None:
        """Measure the scale of the vectors on N observations; entries that do not vary there are left out."""
        x = self.joined(obs)
        std = x.std(0)
        self.mean.copy_(x.mean(0))
        self.std.copy_(torch.where(std > 1e-6, std, torch.full_like(std, 1e6)))


class EyeNetwork(nn.Module):
    """Encoder, two hidden layers, and a command (N, n_commands), clipped to [-1, 1]."""

    def __init__(self, shape: EyeNetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = EyeEncoder(shape)
        self.trunk = hidden_layers(self.encoder.n_outputs, shape.n_hidden)
        self.head = nn.Linear(shape.n_hidden, shape.n_commands)

    def forward(self, obs: Mapping[str, Tensor]) -> Tensor:
        """Commands of N observations."""
        command: Tensor = self.head(self.trunk(self.encoder(obs)))
        return command.clamp(-1, 1)


def hidden_layers(n_inputs: int, n_hidden: int) -> nn.Sequential:
    """The two hidden layers, as stable-baselines3 makes them."""
    return nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.Tanh(), nn.Linear(n_hidden, n_hidden), nn.Tanh())


def _small_cnn(n_channels: int, n_places: int) -> nn.Sequential:
    """36 rows to 6, two strides; then ``n_places`` x 8 values to :data:`_N_MAP`."""
    return nn.Sequential(
        nn.Conv2d(n_channels, 8, 5, stride=3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(n_places * 8, _N_MAP), nn.ReLU(),
    )  # fmt: skip


def _unit(image: Tensor) -> Tensor:
    return image.float() / 255 if image.dtype == torch.uint8 else image
