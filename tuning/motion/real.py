"""The exam on frames whose flow is known from depth and poses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from skimage.color import rgb2gray
from skimage.registration import optical_flow_ilk, optical_flow_tvl1
from torch import Tensor

from ciliary.cortex.motion.perceive import MotionSettings, see_motion
from ciliary.envs.data.active.motion import Run, read_run
from ciliary.envs.metrics.flow import angular_error_deg, endpoint_error_px

#: Frames before the one that is answered, at which its velocities belong: from that one to the next.
LATENCY = 2
_CELL_PX = 4
_ILK_RADIUS_PX = 7
_BORDER_PX = 20


@dataclass(frozen=True, eq=False)
class KnownFlow:
    """A run at the cells of the cortex. Attributes: frames (T, 3, H, W), flow (T-1, 2, h, w), is_known (T-1, h, w)."""

    frames: Tensor
    flow: Tensor
    is_known: Tensor

    @classmethod
    def read(cls, folder: Path, *, width_px: int) -> KnownFlow:
        """See :func:`~ciliary.envs.data.active.motion.read_run`."""
        run: Run = read_run(folder, width_px=width_px)
        share = F.avg_pool2d(run.is_known[:, None].float(), _CELL_PX)[:, 0]
        return cls(run.frames, F.avg_pool2d(run.flow_px, _CELL_PX), share > 0.99)

    @property
    def told(self) -> list[int]:
        """Pairs (t, t + 1) that numbers are told of: of the second half, since things were chosen on the first one.

        Without those whose pose, or whose neighbour's, the pictures belie: where the flow that it gives explains the
        next frame worse than standing still does, a pose is wrong.
        """
        is_good = [
            self.misfit(t, self.flow[t]) < self.misfit(t, torch.zeros_like(self.flow[t])) for t in range(len(self.flow))
        ]
        last = len(self.flow) - LATENCY
        return [t for t in range(max(len(self.flow) // 2, 1), last + 1) if all(is_good[t - 1 : t + 2])]

    def misfit(self, t: int, flow: Tensor) -> float:
        """Mean absolute difference, in 255ths, of frame t and frame t + 1 sampled where the flow (2, h, w) leads."""
        grey = self.frames[t : t + 2].mean(1, keepdim=True)
        h, w = grey.shape[-2:]
        full = F.interpolate(flow[None], size=(h, w), mode="bilinear")[0]
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        place = torch.stack([(x + full[1] + 0.5) / w * 2 - 1, (y + full[0] + 0.5) / h * 2 - 1], -1)
        there = F.grid_sample(grey[1:], place[None], align_corners=False)
        inner = (slice(_BORDER_PX, -_BORDER_PX), slice(_BORDER_PX, -_BORDER_PX))
        return float(255 * (there - grey[:1]).abs()[0, 0][inner].mean())

    def smoothed(self, t: int) -> Tensor:
        """(2, h, w): flow at pair t as a filter with a memory may know it, 1 2 1 over the pairs about it."""
        return 0.25 * self.flow[t - 1] + 0.5 * self.flow[t] + 0.25 * self.flow[t + 1]


@dataclass(frozen=True)
class FlowErrors:
    """(N,) of each pair: mean endpoint error against its flow and the smoothed one, angular error, misfit of frames."""

    pair_px: np.ndarray
    smoothed_px: np.ndarray
    angle_deg: np.ndarray
    misfit: np.ndarray


def flow_errors(known: KnownFlow, flow_at: Callable[[int], Tensor]) -> FlowErrors:
    """Of an estimate: pair t -> (2, h, w), px a frame."""
    rows = []
    for t in known.told:
        mask, found = known.is_known[t], flow_at(t)
        rows.append(
            [
                float(endpoint_error_px(found, known.flow[t])[mask].mean()),
                float(endpoint_error_px(found, known.smoothed(t))[mask].mean()),
                float(angular_error_deg(found, known.flow[t])[mask].mean()),
                known.misfit(t, found),
            ]
        )
    return FlowErrors(*np.array(rows).T)


@torch.no_grad()
def ours(known: KnownFlow, settings: MotionSettings | None = None, *, is_mean: bool = False) -> Callable[[int], Tensor]:
    """The cortex's flow, or its mean everywhere; answered ``LATENCY`` frames later, the filters' delay."""
    answers = [out.flow.flow_px_per_frame[0] for out in see_motion(known.frames[None], settings)]
    if is_mean:
        answers = [flow.mean((1, 2), keepdim=True).expand_as(flow) for flow in answers]
    return lambda t: answers[t + LATENCY]


def standing(known: KnownFlow) -> Callable[[int], Tensor]:
    """The floor: nothing moves."""
    return lambda t: torch.zeros_like(known.flow[t])


def true_mean(known: KnownFlow) -> Callable[[int], Tensor]:
    """A floor that knows the answer: the true flow's own mean over the field, everywhere."""
    return lambda t: known.flow[t][:, known.is_known[t]].mean(1)[:, None, None].expand_as(known.flow[t])


def truth(known: KnownFlow) -> Callable[[int], Tensor]:
    """What depth and poses say, for its misfit: how far the truth itself is to be trusted."""
    return lambda t: known.flow[t]


def of_two_frames(known: KnownFlow, method: str) -> Callable[[int], Tensor]:
    """scikit-image's ``ilk`` or ``tvl1`` (Le Besnerais and Champagnat 2005; Zach et al. 2007) of one pair, averaged."""
    grey = [rgb2gray(frame.permute(1, 2, 0).numpy()) for frame in known.frames]

    def flow_at(t: int) -> Tensor:
        pair = grey[t], grey[t + 1]
        found = optical_flow_ilk(*pair, radius=_ILK_RADIUS_PX) if method == "ilk" else optical_flow_tvl1(*pair)
        return F.avg_pool2d(torch.from_numpy(np.asarray(found, dtype=np.float32)), _CELL_PX)

    return flow_at
