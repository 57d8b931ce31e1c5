"""Train a policy through the cortex: the objective's own gradient at the proposed settings, over many images.

No labels and no rewards. A proposal u' = network(observation) is judged by the differentiable objective, and its
gradient flows through the cortex into the network. Proposals may be unrolled: what is seen at u' is the next
observation. Observations carry no gradient, so each step learns from its own loss alone; that keeps memory at one step
and the rough landscape (discrete choices inside the cortex) from being multiplied with itself.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ciliary.agents.controllers.network import NetworkShape, PolicyNetwork
from ciliary.agents.training.pool import Cases, Observations


@dataclass(frozen=True)
class TrainingSettings:
    """How a policy is trained.

    Attributes:
        n_iterations: optimiser steps.
        n_batch: cases a step.
        n_steps: proposals a case is unrolled for, 1-4.
        learning_rate: of AdamW, falling to zero as half a cosine.
        weight_decay: of AdamW.
        jitter: standard deviation in u of noise added to proposals while training: the gradient is then that of a
            smoothed objective.
        max_gradient: norm of one case's gradient with respect to u beyond which it is scaled down; one image whose
            loss has a cliff must not move all.
        n_check: iterations between looks at the validation cases.
        average: decay of the running average of the weights, which is what is validated and kept.
        n_hidden: width of the network.
        seed: of weights, batches and jitter.
    """

    n_iterations: int = 400
    n_batch: int = 16
    n_steps: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    jitter: float = 0.05
    max_gradient: float = 1.0
    n_check: int = 50
    average: float = 0.98
    n_hidden: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_iterations, self.n_batch, self.n_check) < 1 or not 1 <= self.n_steps <= 4:
            raise ValueError(f"expected n_iterations, n_batch and n_check >= 1 and n_steps in 1..4, got {self}")
        if not 0 <= self.average < 1 or self.learning_rate <= 0 or self.jitter < 0 or self.max_gradient <= 0:
            raise ValueError(f"expected average in [0, 1), a positive learning rate and clip, jitter >= 0, got {self}")


@dataclass(frozen=True)
class Check:
    """One look at the validation cases: mean totals at the defaults and after each proposal."""

    i_iteration: int
    train_total: float  # mean over the batches since the last check; nan at the first
    default_total: float
    totals: tuple[float, ...]
    is_best: bool

    @property
    def gain(self) -> float:
        """Fall of the mean total from the defaults to the last proposal."""
        return self.default_total - self.totals[-1]


class Training:
    """A training under way.

    Args:
        pools: of cases to learn from; a batch comes from one of them, chosen by its size.
        validation: pools of other images.
        settings: how.

    Attributes:
        network: what learns.
        average: the running average of its weights.
        best: the average that was best on the validation cases.
        checks: all looks at the validation cases; the first is before training.
        i_iteration: iterations done.
    """

    def __init__(self, pools: Sequence[Cases], validation: Sequence[Cases], settings: TrainingSettings) -> None:
        self.pools, self.validation, self.settings = pools, validation, settings
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        self.looks = [first_looks(cases)[1] for cases in pools]
        self.checked = [first_looks(cases) for cases in validation]
        self.network = PolicyNetwork(shape_of(self.looks[0], n_hidden=settings.n_hidden))
        self.network.standardise({name: torch.cat([obs[name] for obs in self.looks]) for name in self.looks[0]})
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.checks: list[Check] = []
        self.i_iteration = 0
        self._recent: list[float] = []

    def run(self, *, on_check: Callable[[Check], None] = lambda check: None) -> PolicyNetwork:
        """Train to the end; returns the best network. ``on_check`` may save, and may raise to stop."""
        if not self.checks:
            on_check(self.check())
        while self.i_iteration < self.settings.n_iterations:
            self.step()
            if self.i_iteration % self.settings.n_check == 0 or self.i_iteration == self.settings.n_iterations:
                on_check(self.check())
        return self.best

    def step(self) -> float:
        """One optimiser step; returns the mean total of its last proposals."""
        s = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = s.learning_rate * 0.5 * (1 + math.cos(math.pi * self.i_iteration / s.n_iterations))
        share = np.array([len(cases) for cases in self.pools], dtype=float)
        i_pool = int(self.rng.choice(len(self.pools), p=share / share.sum()))
        cases = self.pools[i_pool]
        rows = torch.as_tensor(self.rng.choice(len(cases), min(s.n_batch, len(cases)), replace=False))
        obs = {name: value[rows] for name, value in self.looks[i_pool].items()}
        self.optimiser.zero_grad()
        total = math.nan
        for _ in range(s.n_steps):
            total, obs = propose_and_learn(self.network, cases, rows, obs, settings=s)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        decay = min(s.average, (1 + self.i_iteration) / (10 + self.i_iteration))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        self.i_iteration += 1
        self._recent.append(total)
        return total

    def check(self) -> Check:
        """Look at the validation cases, and keep the average if it is the best so far."""
        default = float(torch.cat([total for total, _ in self.checked]).mean())
        totals = mean_totals(self.average, self.validation, self.checked, n_steps=self.settings.n_steps)
        is_best = all(totals[-1] < earlier.totals[-1] for earlier in self.checks)
        if is_best:
            self.best.load_state_dict(self.average.state_dict())
        train_total = float(np.mean(self._recent)) if self._recent else math.nan
        self._recent.clear()
        self.checks.append(Check(self.i_iteration, train_total, default, totals, is_best))
        return self.checks[-1]

    def save(self, path: Path) -> None:
        """Everything that a later process needs to go on, after a check."""
        modules = {name: getattr(self, name).state_dict() for name in ("network", "average", "best", "optimiser")}
        rest: dict[str, Any] = {"i_iteration": self.i_iteration, "checks": [asdict(check) for check in self.checks]}
        rest |= {"rng": self.rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        part = path.with_suffix(".part")
        torch.save(modules | rest, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on where :meth:`save` stopped: the same steps follow as if it had not."""
        state = torch.load(path, weights_only=True)
        for name in ("network", "average", "best", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.i_iteration = state["i_iteration"]
        self.checks = [Check(**{**check, "totals": tuple(check["totals"])}) for check in state["checks"]]
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])


def propose_and_learn(
    network: PolicyNetwork, cases: Cases, rows: Tensor, obs: Observations, *, settings: TrainingSettings
) -> tuple[float, Observations]:
    """One proposal for each of a batch of cases: gradients into the network; the mean total, and what is seen there."""
    proposal = network(obs)
    u = (proposal.detach() + settings.jitter * torch.randn_like(proposal)).clamp(-1, 1).requires_grad_(True)
    total, seen = cases.judge(rows, u)
    is_finite = torch.isfinite(total)
    (gradient,) = torch.autograd.grad(total[is_finite].sum(), u)
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
    norm = gradient.norm(dim=1, keepdim=True)
    gradient = gradient * (settings.max_gradient / norm.clamp_min(settings.max_gradient))
    proposal.backward(gradient / len(rows))
    return float(total.detach()[is_finite].mean()), seen


def first_looks(cases: Cases, *, n_at_once: int = 32) -> tuple[Tensor, Observations]:
    """Totals (C,) and observations of all cases at the defaults, without gradient.

    Their ``u`` is not the defaults but what the first proposal departs from, as when the policy plays.
    """
    parts = []
    with torch.no_grad():
        for rows in torch.split(torch.arange(len(cases)), n_at_once):
            u = torch.as_tensor(np.tile(cases.default_u, (len(rows), 1)), dtype=torch.float32)
            total, obs = cases.judge(rows, u)
            parts.append((total, {**obs, "u": cases.bases(rows)}))
    totals = torch.cat([total for total, _ in parts])
    return totals, {name: torch.cat([obs[name] for _, obs in parts]) for name in parts[0][1]}


def mean_totals(
    network: PolicyNetwork,
    pools: Sequence[Cases],
    first: Sequence[tuple[Tensor, Observations]],
    *,
    n_steps: int,
    n_at_once: int = 32,
) -> tuple[float, ...]:
    """Mean total over all cases after each of ``n_steps`` proposals; ``first`` are their :func:`first_looks`."""
    sums, n = np.zeros(n_steps), 0
    with torch.no_grad():
        for cases, (_, looks) in zip(pools, first, strict=True):
            for rows in torch.split(torch.arange(len(cases)), n_at_once):
                obs = {name: value[rows] for name, value in looks.items()}
                for k in range(n_steps):
                    total, obs = cases.judge(rows, network(obs))
                    sums[k] += float(total.sum())
                n += len(rows)
    return tuple((sums / n).tolist())


def shape_of(obs: Observations, *, n_hidden: int) -> NetworkShape:
    """The network that fits observations."""
    return NetworkShape(
        n_parameters=obs["u"].shape[1],
        n_statistics=obs["statistics"].shape[1],
        n_terms=obs["terms"].shape[1],
        has_image="image" in obs,
        n_hidden=n_hidden,
    )
