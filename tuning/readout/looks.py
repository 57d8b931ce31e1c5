"""Reading through other settings: at the one that accommodation finds for the image, or through many looks together.

A head was learned at the defaults. Fields of another setting, of the image in other light or at another size, are not
what it knows; but what it says of several looks can be averaged, as a percept of many looks is put together. Which
looks is chosen on validation images, disturbed as the test images are, by seeds of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ciliary.agents.controllers.homeostat import ReflexController
from ciliary.agents.episode import run_episode
from ciliary.cortex import Cortex
from ciliary.cortex.glance import GlancingPerceiver, in_other_light, resized
from ciliary.cortex.options import default_objective
from ciliary.cortex.parameters import Theta
from ciliary.envs.objective.panel import draw_panel
from ciliary.envs.single import AccommodationEnv
from ciliary.tuning.readout.fields import CortexFields
from ciliary.tuning.readout.models import Readout, probabilities

Reader = Callable[[Tensor], Tensor]
"""One image (3, H, W) to probabilities (K, H, W)."""

WAYS = ("default", "looks", "chosen", "reflex")
N_LOOKS = 8
_N_TRIALS = 8  # of the reflex, which settles in a few steps
_SPREAD = 0.12  # of looks, in u: what the cortex varies in a session where it says nothing else


def draw_looks(cortex: Cortex, n: int) -> np.ndarray:
    """Settings (n, P) in [-1, 1] around the defaults, which are the first; in other light and at other sizes too."""
    return draw_panel(GlancingPerceiver([cortex]), n, spread=_SPREAD)


def fields_of_look(fields: CortexFields, image: Tensor, u: Sequence[float] | np.ndarray) -> Tensor:
    """(1, C, h, w) of an image (3, H, W) at a look (P,), at the size that it is looked at."""
    table = GlancingPerceiver([fields.cortex]).table
    theta = table.from_unit(torch.as_tensor(np.asarray(u, np.float32))[None])
    seen = resized(in_other_light(image[None], theta), float(theta["glance_scale"]))
    own: Theta = {name: theta[name] for name in fields.cortex.table.names}
    return fields(seen, own)


@dataclass(frozen=True, eq=False)
class Looking:
    """A model that reads the cortex's fields, and the looks (M, P) it may take; the first are the defaults."""

    fields: CortexFields
    model: Readout
    u: np.ndarray

    @classmethod
    def of(cls, fields: CortexFields, model: Readout, *, n_looks: int = N_LOOKS) -> Looking:
        """With looks drawn around the defaults, in other light and at other sizes too."""
        return cls(fields, model, draw_looks(fields.cortex, n_looks))

    def read(self, image: Tensor, u: Sequence[float] | np.ndarray | None = None) -> Tensor:
        """(K, H, W) probabilities at one look; the defaults when None."""
        device = self.model.mean.device
        if u is None:
            return probabilities(self.model, self.fields(image[None]).to(device))[0].cpu()
        found = probabilities(self.model, fields_of_look(self.fields, image, u).to(device)).cpu()
        if found.shape[-2:] != image.shape[-2:]:
            found = F.interpolate(found, size=image.shape[-2:], mode="bilinear", align_corners=False)
        return found[0]

    def read_all(self, image: Tensor) -> Tensor:
        """(M, K, H, W) probabilities at every look."""
        return torch.stack([self.read(image, u) for u in self.u])

    def settle(self, image: Tensor) -> np.ndarray:
        """The setting (P,) in [-1, 1] that the reflex finds for the image, judged by the objective without labels."""
        cortex = self.fields.cortex
        env = AccommodationEnv(
            cortex=cortex, objective=default_objective(cortex.name), size_px=None, action_mode="absolute"
        )
        trace = run_episode(env, ReflexController(), 0, options={"image": image}, n_trials=_N_TRIALS, guard=None)
        return np.asarray(trace.u_chosen)

    def read_settled(self, image: Tensor) -> Tensor:
        """(K, H, W) at that setting."""
        cortex = self.fields.cortex
        theta = cortex.table.from_unit(torch.as_tensor(self.settle(image), dtype=torch.float32)[None])
        return probabilities(self.model, self.fields(image[None], theta).to(self.model.mean.device))[0].cpu()


def choose(found: Sequence[Tensor], drawn: Sequence[np.ndarray], score: Callable[[np.ndarray, np.ndarray], float],
           *, most: int = N_LOOKS) -> tuple[int, ...]:  # fmt: skip
    """Which looks to average, one after the other, each the one that adds most; it ends when none adds anything.

    Args:
        found: (M, K, H, W) probabilities of all looks at each image.
        drawn: (H, W) classes of each.
        score: of found and drawn classes (H, W); higher is better.
        most: how many at most.

    Returns:
        Looks in the order of their choice; never none. A look may not be chosen twice.
    """
    chosen: list[int] = []
    totals, best = [torch.zeros_like(one[0]) for one in found], -np.inf
    while len(chosen) < min(most, len(found[0])):
        tried = {
            m: float(np.mean([score((total + one[m]).argmax(0).numpy(), truth)
                              for total, one, truth in zip(totals, found, drawn, strict=True)]))
            for m in range(len(found[0])) if m not in chosen
        }  # fmt: skip
        m = max(tried, key=lambda k: (tried[k], -k))
        if tried[m] <= best:
            break
        best = tried[m]
        chosen.append(m)
        totals = [total + one[m] for total, one in zip(totals, found, strict=True)]
    return tuple(chosen)
