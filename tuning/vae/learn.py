"""Proto-objects of photographs, a model learned from them, and what it is worth on photographs not learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from ciliary.cortex.description import N_DESCRIPTION
from ciliary.cortex.model import Cortex
from ciliary.envs.metrics.statistics import Interval, bootstrap_of
from ciliary.tuning.vae.model import Vae, divergence, loss
from ciliary.tuning.vae.settings import VaeTraining

LEAST_WEIGHT = 0.02  # of a proto-object, of 1 for the image: less is no object to learn from
N_LEAST = 5  # photographs
_BATCH = 128
_LEARNING_RATE = 2e-3
_ACTIVE_NATS = 0.05  # of divergence, above which a latent says something


@dataclass(frozen=True, eq=False)
class Objects:
    """Proto-objects of several photographs.

    Attributes:
        description: (M, d) standardised by the mean and spread of those learned from.
        photograph: (M,) which each is of.
        mean, spread: (d,).
        is_learned_from: (M,) bool; whole photographs.
    """

    description: Tensor
    photograph: np.ndarray
    mean: Tensor
    spread: Tensor
    is_learned_from: np.ndarray


@torch.no_grad()
def describe(cortex: Cortex, image: Tensor) -> Tensor:
    """Descriptions (K, d) of an image's (3, H, W) proto-objects that count."""
    m5 = cortex(image[None].to(cortex.device)).m5
    assert m5 is not None
    return m5.description[0][m5.weight[0] > LEAST_WEIGHT].cpu()


def gather(rows: list[Tensor]) -> Objects:
    """The proto-objects of photographs, each (K_i, d); every fifth photograph is not learned from.

    Raises:
        ValueError: fewer than :data:`N_LEAST` photographs with a proto-object.
    """
    rows = [own for own in rows if len(own)]
    if len(rows) < N_LEAST:
        raise ValueError(f"expected {N_LEAST} photographs or more with proto-objects, got {len(rows)}")
    photograph = np.concatenate([np.full(len(own), i) for i, own in enumerate(rows)])
    learned = photograph % 5 != 4
    whole = torch.cat(rows)
    chosen = whole[torch.as_tensor(learned)]
    mean, spread = chosen.mean(0), chosen.std(0).clamp_min(1e-3)
    return Objects(((whole - mean) / spread).clamp(-5, 5), photograph, mean, spread, learned)


def learn(objects: Objects, settings: VaeTraining, *, on_step: Callable[[], object] = lambda: None) -> Vae:
    """A model of the proto-objects that are learned from; the same seed gives the same model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = Vae(N_DESCRIPTION, settings.n_latents, settings.n_hidden, settings.attention)
    drawn = torch.Generator().manual_seed(settings.seed)
    x = objects.description[torch.as_tensor(objects.is_learned_from)]
    optimiser = torch.optim.Adam(model.parameters(), _LEARNING_RATE)
    for _ in range(settings.n_steps):
        batch = x[torch.randint(len(x), (min(_BATCH, len(x)),), generator=drawn)]
        noise = torch.randn(len(batch), settings.n_latents, generator=drawn)
        found = loss(model, batch, noise, beta=settings.beta, free_bits=settings.free_bits, sparsity=settings.sparsity)
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
        on_step()
    return model.eval()


@dataclass(frozen=True)
class Worth:
    """What a code gives back of proto-objects not learned from: share of their variance about the mean learned."""

    code: str
    numbers: int
    given_back: Interval
    nats: float | None
    active_latents: int | None
    hidden_rate: float | None


@torch.no_grad()
def worth(model: Vae, objects: Objects) -> list[Worth]:
    """The model's mean codes, principal components of as many numbers, and the mean alone."""
    known = torch.as_tensor(objects.is_learned_from)
    x, held = objects.description[known], objects.description[~known]
    which = objects.photograph[~objects.is_learned_from]
    given, mean, log_variance, active = model(held)
    kl = divergence(mean, log_variance)
    n = min(mean.shape[1], len(x), x.shape[1])
    pca = PCA(n, random_state=0).fit(x.numpy())
    by_pca = torch.as_tensor(pca.inverse_transform(pca.transform(held.numpy())), dtype=held.dtype)
    return [
        Worth("variational autoencoder", mean.shape[1], _given_back(held, given, which), float(kl.sum()),
              int((kl > _ACTIVE_NATS).sum()), float(active.mean())),
        Worth("principal components", n, _given_back(held, by_pca, which), None, None, None),
        Worth("the mean", 0, _given_back(held, torch.zeros_like(held), which), None, None, None),
    ]  # fmt: skip


def _given_back(x: Tensor, given: Tensor, photograph: np.ndarray) -> Interval:
    """1 - squared error over that of the mean learned from; photographs are resampled, not their proto-objects."""
    errors = torch.stack([(x - given).square().sum(1), x.square().sum(1)], 1).numpy()
    sums = np.stack([errors[photograph == i].sum(0) for i in np.unique(photograph)])
    return bootstrap_of(lambda rows: float(1 - rows[:, 0].sum() / max(rows[:, 1].sum(), 1e-12)), sums)
