"""Teach the cost of merging: which pairs of regions do people keep together, asked along the tree that the cost grows.

As Ren & Shakhnarovich (2013) do, pairs are those that merging really meets: the tree is grown with the present cost,
its pairs are asked about, the cost is fitted to all pairs so far, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ciliary.cortex.ops.agglomerate import RegionTree, region_tree
from ciliary.cortex.ops.basins import Basins
from ciliary.cortex.ops.pair_cost import PairCost, PairInputs, strength_cost
from ciliary.cortex.ops.region_graph import RegionGraph
from ciliary.cortex.parameters import Theta
from ciliary.cortex.percept import M1Out, M2Out
from ciliary.cortex.stages.m3_basins import atoms_of
from ciliary.cortex.stages.merge_cost import MergeCost, merge_odds, pair_evidence

_N_EACH_ROUND = 400  # pairs kept of a round of merges


@dataclass(frozen=True)
class Scene:
    """One image as merging sees it."""

    basins: Basins
    cue: Tensor  # (N, C)
    graph: RegionGraph
    theta: Theta

    @property
    def image_px(self) -> float:
        """Pixels."""
        return float(self.basins.label.numel())

    def cost(self, model: nn.Module) -> PairCost:
        """The cost of a model here."""
        return merge_odds(model, self.theta, image_px=self.image_px)

    def tree(self, cost: PairCost) -> RegionTree:
        """The whole tree."""
        size = self.basins.size[0]
        return region_tree(
            self.cue * size[:, None],
            size,
            self.graph,
            linkage=cost,
            sample=torch.zeros(len(size), dtype=torch.int64, device=size.device),
        )


@torch.no_grad()
def scene_of(m1: M1Out, m2: M2Out, theta: Theta) -> Scene:
    """The scene of a percept of one image."""
    _, basins, cue, graph = atoms_of(m1, m2, theta)
    return Scene(basins, cue[0], graph, theta)


def people_of(basins: Basins, maps: Sequence[np.ndarray]) -> Tensor:
    """Share of each basin that lies in each region of each person: (N, R), people one after another, sums to P."""
    label, n = basins.label[0].flatten(), basins.size.shape[1]
    parts = []
    for one in maps:
        region = torch.from_numpy(np.unique(one, return_inverse=True)[1].reshape(-1)).to(label.device)
        count = torch.zeros(n, int(region.max()) + 1, device=label.device)
        count.index_put_((label, region), count.new_ones(()), accumulate=True)
        parts.append(count / count.sum(1, keepdim=True).clamp_min(1))
    return torch.cat(parts, 1)


@torch.no_grad()
def asked_pairs(
    scene: Scene, people: Tensor, n_people: int, cost: PairCost, *, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs met while the tree of a cost grows: evidence (M, 10), share of people who keep them apart, weights (M,).

    Two regions are apart for a person as likely as a pixel of one and a pixel of the other are of two regions.
    """
    n_cues, rows = scene.cue.shape[1], []
    rng = torch.Generator().manual_seed(seed)

    def asking(pairs: PairInputs) -> Tensor:
        apart = 1 - (pairs.mean_i[:, n_cues:] * pairs.mean_j[:, n_cues:]).sum(1) / n_people
        own = PairInputs(
            pairs.mean_i[:, :n_cues],
            pairs.mean_j[:, :n_cues],
            pairs.size_i,
            pairs.size_j,
            pairs.length,
            pairs.sums,
            pairs.sample,
        )
        weight = torch.sqrt(torch.minimum(pairs.size_i, pairs.size_j) / scene.image_px)
        kept = torch.randperm(len(apart), generator=rng)[:_N_EACH_ROUND].to(apart.device)
        evidence = pair_evidence(own, scene.theta, image_px=scene.image_px)
        rows.append((evidence[kept], apart[kept], weight[kept] * len(apart) / len(kept)))
        return cost(own)

    Scene(scene.basins, torch.cat([scene.cue, people], 1), scene.graph, scene.theta).tree(asking)
    evidence, apart, weight = (torch.cat(x) for x in zip(*rows, strict=True))
    return evidence, apart.clamp(0, 1), weight


def fit_cost(evidence: Tensor, apart: Tensor, weight: Tensor, *, n_steps: int = 1500, seed: int = 0) -> MergeCost:
    """The monotone model that tells best what people keep apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MergeCost().to(evidence.device)
        model.mean.copy_(evidence.mean(0))
        model.spread.copy_(evidence.std(0).clamp_min(1e-3))
        optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
        for _ in range(n_steps):
            i = torch.randint(len(evidence), (4096,)).to(evidence.device)
            loss = F.binary_cross_entropy_with_logits(model(evidence[i]), apart[i], weight[i] / weight.mean())
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return model.eval().requires_grad_(False)


def learn_cost(scenes: Sequence[tuple[Scene, Tensor, int]], *, n_rounds: int = 3, seed: int = 0) -> MergeCost:
    """The cost taught on scenes, each with what people say of its basins and how many they are."""
    cost_here: list[PairCost] = [strength_cost] * len(scenes)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    model = MergeCost()
    for i_round in range(n_rounds):
        rows += [
            asked_pairs(scene, people, n, cost, seed=seed + 1000 * i_round + i)
            for i, ((scene, people, n), cost) in enumerate(zip(scenes, cost_here, strict=True))
        ]
        evidence, apart, weight = (torch.cat(x) for x in zip(*rows, strict=True))
        model = fit_cost(evidence, apart, weight, seed=seed)
        cost_here = [scene.cost(model) for scene, _, _ in scenes]
    return model
