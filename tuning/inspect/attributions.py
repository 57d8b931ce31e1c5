"""What each pixel of a look has to do with each target: found once, for all techniques that show or judge it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import sobel
from torch import Tensor

from ciliary.cortex import Cortex
from ciliary.cortex.explain.controls import shuffle_weights
from ciliary.cortex.explain.gradients import gradient_maps, integrated_gradients
from ciliary.cortex.explain.occlusion import occlusion_maps
from ciliary.cortex.explain.phases import RandomPhases
from ciliary.cortex.explain.rectifiers import RULES
from ciliary.cortex.explain.scalars import Tick, local_mean
from ciliary.envs.batch import images_per_pass
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import Target, make_targets, together

OCCLUSION, INTEGRATED = "occlusion", "integrated gradients"
EDGES, PIXELS, BLOBS = "edges", "random pixels", "random blobs"  # these ask nothing of the cortex
_BLUR_SHARE = 0.08  # of the long side: sigma of an image in which nothing is left of what counts
_WITH_GRADIENT = 5  # times the memory of a pass without


@dataclass(frozen=True)
class Effort:
    """How much is done for a map.

    Attributes:
        share, step: of the occluding window, see :func:`~ciliary.cortex.explain.occlusion.occlusion_maps`.
        n_copies: noisy images that gradients are averaged over.
        n_steps: of integrated gradients.
        n_shares: of the pixels that are deleted and inserted.
    """

    share: float = 0.25
    step: float = 0.5
    n_copies: int = 3
    n_steps: int = 12
    n_shares: int = 8


WHOLE, HASTY = Effort(), Effort(step=0.95, n_copies=1, n_steps=3, n_shares=3)


@dataclass(frozen=True, eq=False)
class Backward:
    """What went back from the targets that have a gradient, and the same where nothing is known.

    Attributes:
        targets: those that have one.
        maps: method to (T, H, W); of the gradients sizes, of integrated gradients what each pixel adds.
        control: the same of a cortex whose weights, or filters, were drawn by lot.
        lot: what was drawn.
        change, gap: of integrated gradients, (T,).
    """

    targets: tuple[Target, ...]
    maps: Mapping[str, Tensor]
    control: Mapping[str, Tensor]
    lot: str
    change: Tensor
    gap: Tensor


def effort(seen: Seen) -> Effort:
    """How much is to be done."""
    return HASTY if seen.is_quick else WHOLE


def image_of(seen: Seen) -> Tensor:
    """(3, H, W) where the cortex lies."""
    return seen.look.image.to(seen.look.cortex.device)


def fill_of(seen: Seen) -> Tensor:
    """The image with nothing left in it, (3, H, W): blurred."""
    image = image_of(seen)
    return local_mean(image, _BLUR_SHARE * max(image.shape[-2:]))


def at_once(seen: Seen, *, with_gradient: bool = False) -> int:
    """Images of one pass."""
    n = images_per_pass(seen.look.image.shape[-2], seen.look.image.shape[-1])
    return max(1, n // _WITH_GRADIENT) if with_gradient else n


def occlusion(seen: Seen) -> Tensor:
    """How far each target falls when a place is hidden, (T, H, W)."""

    def make() -> Tensor:
        e = effort(seen)
        of = together(seen.look, seen.targets)
        return occlusion_maps(
            of, image_of(seen), share=e.share, step=e.step, n_at_once=at_once(seen), tick=seen.tick
        ).cpu()

    return seen.once("occlusion", make)


def backward(seen: Seen) -> Backward | None:
    """Gradients by each rule and integrated gradients, with their control; None if no target has a gradient."""
    targets = tuple(target for target in seen.targets if target.is_differentiable)
    return seen.once("backward", lambda: _backward(seen, targets)) if targets else None


def _backward(seen: Seen, targets: tuple[Target, ...]) -> Backward:
    cortex, lot = randomised(seen.look.cortex, seed=seen.seed)
    unknowing = replace(seen.look, cortex=cortex)  # what it is asked about is what the real one saw
    others = make_targets(unknowing, [target.name for target in targets], seed=seen.seed)
    rules = tuple(RULES) if has_networks(cortex) else ("gradient",)
    e, n = effort(seen), at_once(seen, with_gradient=True)
    n_passes = -(-e.n_copies // n) * len(rules) * len(targets)
    done, n_all = [0], 2 * (n_passes + e.n_steps)

    def of(look_targets: tuple[Target, ...], look_cortex: Cortex) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        scalars = together(replace(seen.look, cortex=look_cortex), look_targets)
        first = _after(seen.tick, done[0], n_all)
        maps = gradient_maps(
            scalars, image_of(seen), rules=rules, n_copies=e.n_copies, seed=seen.seed, n_at_once=n, tick=first
        )
        second = _after(seen.tick, done[0] + n_passes, n_all)
        found = integrated_gradients(
            scalars, image_of(seen), fill_of(seen), n_steps=e.n_steps, n_at_once=n, tick=second
        )
        done[0] += n_passes + e.n_steps
        return {name: own.cpu() for name, own in (maps | {INTEGRATED: found.maps}).items()}, found.change, found.gap

    maps, change, gap = of(targets, seen.look.cortex)
    control, _, _ = of(others, cortex)
    return Backward(targets, maps, control, lot, change.cpu(), gap.cpu())


def _after(tick: Tick, n_before: int, n_all: int) -> Tick:
    return lambda n, n_own: tick(n_before + n, n_all)


def has_networks(cortex: Cortex) -> bool:
    """Whether it has weights that were learned."""
    return any(True for _ in cortex.parameters())


def randomised(cortex: Cortex, *, seed: int) -> tuple[Cortex, str]:
    """A cortex that knows nothing, and what of it was drawn by lot: learned weights, or the phases of V1's filters."""
    if has_networks(cortex):
        shuffled = shuffle_weights(cortex, seed=seed)
        assert isinstance(shuffled, Cortex)
        return shuffled, "weights shuffled"
    other = copy.deepcopy(cortex)
    v1 = getattr(other.m1, "v1", None)
    if isinstance(v1, torch.nn.Module):
        other.m1.v1 = RandomPhases(v1, seed=seed)
        return other, "no weights: V1's phases by lot"
    return other, "nothing to draw by lot"


def edges_of(seen: Seen) -> Tensor:
    """(H, W): where the image itself has edges (Sobel's operator on its mean over colours)."""
    return torch.from_numpy(np.ascontiguousarray(sobel(seen.look.image.mean(0).numpy()))).float()


def lots_of(seen: Seen) -> dict[str, Tensor]:
    """Maps that know nothing, (H, W): of single pixels, and as coarse as those of occlusion."""
    size = (seen.look.image.shape[-2], seen.look.image.shape[-1])
    rng = torch.Generator().manual_seed(seen.seed)
    pixels = torch.rand(size, generator=rng)
    n_cells = max(2, round(1 / effort(seen).share))
    coarse = torch.rand(1, 1, n_cells, n_cells, generator=rng)
    blobs = F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)[0, 0]
    return {PIXELS: pixels, BLOBS: blobs}
