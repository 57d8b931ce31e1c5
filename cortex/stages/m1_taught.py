"""M1, taught by people: soft regions of a code in which what people keep together lies close together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.kmeans import soft_assign, soft_kmeans
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import PARAMETERS, Theta
from ciliary.cortex.percept import N_ORIENTATIONS, Cues, M1Out, RetinaOut
from ciliary.cortex.stages.contour_net import contour_inputs
from ciliary.cortex.stages.m1_perception import (
    N_COLOUR,
    N_REGIONS_MAX,
    N_SCALES,
    BankV1,
    Edges,
    find_edges,
    position_channels,
)

N_CODE = 8
_STRIDE = 4  # of the code: regions have no fine detail of their own
# Squared distance in the code at which people are as likely to part two places as not is ln 2; k-means works at this
# scale of it, so that the temperature of the parameter table means what it means for colours.
_CODE_SCALE = 0.35


class CodeNet(nn.Module):
    """Colour, root energy and a trunk's maps, at a quarter of the size, to a code (B, 8, h, w).

    ``1 - exp(-||a - b||^2)`` is how likely people part two places. Looks 15 of its pixels wide.
    """

    def __init__(self, trunk_channels: tuple[int, ...] = (), width: int = 32) -> None:
        super().__init__()
        n_in = N_COLOUR + N_SCALES * N_ORIENTATIONS + sum(trunk_channels)
        self.n_trunk = len(trunk_channels)
        self.norm = nn.BatchNorm2d(n_in, affine=False)
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, width, 1),
            nn.ReLU(),
            *(
                layer
                for dilation in (1, 2, 4)
                for layer in (nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation), nn.ReLU())
            ),
            nn.Conv2d(width, N_CODE, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The code of :func:`code_inputs`."""
        code: Tensor = self.layers(self.norm(x))
        return code


def code_inputs(edges: Edges, trunk: tuple[Tensor, ...]) -> Tensor:
    """What :class:`CodeNet` sees, (B, C, ceil(H/4), ceil(W/4)): colours and root energies, and the trunk's maps."""
    full, half = contour_inputs(edges.features, edges.boundary, edges.energy)
    parts = [halve(halve(full[:, :N_COLOUR])), halve(half)]
    size = parts[0].shape[-2:]
    for i, maps in enumerate(trunk):
        enlarged = F.interpolate(maps, scale_factor=2**i, mode="bilinear", align_corners=False) if i else maps
        parts.append(enlarged[..., : size[0], : size[1]])
    return torch.cat(parts, 1)


class TaughtM1(nn.Module):
    """:func:`~ciliary.cortex.stages.m1_perception.perceive` with soft k-means in the taught code."""

    def __init__(self, trunk_channels: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.v1 = BankV1()
        self.net = CodeNet(trunk_channels)

    def forward(self, retina: RetinaOut, cues: Cues, theta: Theta) -> M1Out:
        """As M1.

        Raises:
            ValueError: the network sees a trunk's maps and there are none.
        """
        edges = find_edges(retina, cues, theta, self.v1)
        trunk: tuple[Tensor, ...] = ()
        if self.net.n_trunk:
            if cues.trunk is None:
                raise ValueError("these regions were taught on a backbone's maps; build the cortex with features=...")
            trunk = cues.trunk
        code = self.net(code_inputs(edges, trunk))
        regions = regions_of_code(_CODE_SCALE * code, theta)
        size = (-(-edges.boundary.shape[-2] // 2), -(-edges.boundary.shape[-1] // 2))
        regions = F.interpolate(regions, scale_factor=2.0, mode="bilinear", align_corners=False)
        regions = regions[..., : size[0], : size[1]]
        return M1Out(edges.energy, edges.affinity, edges.boundary, regions, cues.depth, edges.features, cues, code)


def regions_of_code(code: Tensor, theta: Theta) -> Tensor:
    """Soft k-means of a code (B, C, h, w) and position: shares (B, K, h, w) on the simplex over K."""
    weight = theta["position_weight"].view(-1, 1, 1, 1) * (_POSITION / PARAMETERS["position_weight"].default)
    position = position_channels(code.shape[-2], code.shape[-1], code.device).expand(len(code), -1, -1, -1)
    points = torch.cat([code, weight * position], 1).flatten(2).transpose(1, 2)
    temperature = theta["region_temperature"] * (_TEMPERATURE / PARAMETERS["region_temperature"].default)
    centres, presence = soft_kmeans(points, count=theta["n_regions"], temperature=temperature, n_max=N_REGIONS_MAX)
    shares = soft_assign(points, centres, temperature, presence)
    regions: Tensor = shares.unflatten(2, code.shape[-2:])
    return regions


# At the defaults of the table: position across the image, and temperature, in the units of the code.
_POSITION = 0.16
_TEMPERATURE = 0.02
