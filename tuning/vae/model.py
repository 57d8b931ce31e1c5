"""The autoencoder (Kingma & Welling 2014) and its losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATE = 0.05  # mean activity that a sparse hidden unit is drawn to
_LEAST = 1e-4  # rates are kept so far from 0 and 1: at the ends the divergence has no bound
_LOG_VARIANCE = (-8.0, 4.0)  # of a latent, so that no step overflows


class ChannelAttention(nn.Module):
    """Weigh units by a softmax of what they say themselves: K units keep their common size.

    Args:
        n: K units.
        temperature: > 0; small ones choose, large ones leave all alike.
    """

    def __init__(self, n: int, temperature: float) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.temperature = temperature
        self.score = nn.Linear(n, n)

    def forward(self, hidden: Tensor) -> Tensor:
        """(M, K) to (M, K)."""
        weight = torch.softmax(self.score(hidden) / self.temperature, -1)
        weighed: Tensor = hidden * weight * hidden.shape[-1]
        return weighed


class Vae(nn.Module):
    """d numbers to L latents and back, one hidden layer each way.

    Args:
        n_in: d.
        n_latents: L.
        n_hidden: of either layer.
        attention: temperature of a :class:`ChannelAttention` on the encoder's hidden units; 0: none.
    """

    def __init__(self, n_in: int, n_latents: int = 8, n_hidden: int = 96, attention: float = 0.0) -> None:
        super().__init__()
        self.enter = nn.Linear(n_in, n_hidden)
        self.attend: nn.Module = ChannelAttention(n_hidden, attention) if attention else nn.Identity()
        self.mean = nn.Linear(n_hidden, n_latents)
        self.log_variance = nn.Linear(n_hidden, n_latents)
        self.leave = nn.Sequential(nn.Linear(n_latents, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_in))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(M, d) to mean and log variance of the latents, (M, L) each, and the hidden units in (0, 1), (M, K)."""
        active = torch.sigmoid(self.enter(x))
        hidden = self.attend(active)
        return self.mean(hidden), self.log_variance(hidden).clamp(*_LOG_VARIANCE), active

    def decode(self, z: Tensor) -> Tensor:
        """(M, L) to (M, d)."""
        given: Tensor = self.leave(z)
        return given

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Given back (M, d), mean, log variance, hidden units; ``noise`` (M, L), none for the mean code."""
        mean, log_variance, active = self.encode(x)
        z = mean if noise is None else reparametrise(mean, log_variance, noise)
        return self.decode(z), mean, log_variance, active


def reparametrise(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A draw from the code, mean + standard deviation * noise: differentiable in both."""
    return mean + torch.exp(0.5 * log_variance) * noise


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of each latent from N(0, 1) in nats, mean over the batch: (M, L) to (L,)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(0)


def with_free_bits(kl: Tensor, free: float) -> Tensor:
    """Sum over the latents of what each costs above ``free`` nats (Kingma et al. 2016): none is driven out for it."""
    return kl.clamp_min(free).sum() - free * kl.numel()


def sparsity_penalty(active: Tensor, rate: float = RATE) -> Tensor:
    """Bernoulli KL of hidden units' mean activity over the batch from ``rate``, summed over units: (M, K) to ().

    Activities lie in (0, 1); means are clamped, since at 1 the divergence has no bound.
    """
    mean = active.mean(0).clamp(_LEAST, 1 - _LEAST)
    return (rate * torch.log(rate / mean) + (1 - rate) * torch.log((1 - rate) / (1 - mean))).sum()


def loss(
    model: Vae, x: Tensor, noise: Tensor, *, beta: float = 1.0, free_bits: float = 0.1, sparsity: float = 0.0
) -> Tensor:
    """Squared error summed over entries (half of it: a unit Gaussian's), divergence, and sparsity if it is weighed."""
    given, mean, log_variance, active = model(x, noise)
    error = 0.5 * F.mse_loss(given, x, reduction="none").sum(1).mean()
    total = error + beta * with_free_bits(divergence(mean, log_variance), free_bits)
    return total + sparsity * sparsity_penalty(active) if sparsity else total
