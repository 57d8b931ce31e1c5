"""Hybrid: a learned policy says where to look; a short search looks around there, and stops when little is left.

Starting a search from a learned proposal: Feurer, Springenberg & Hutter 2015 (Bayesian optimisation); Nomura et al.
2021 (CMA-ES).

When to stop: Optuna's terminators do not fit so short a search in so many parameters. Their regret bounds come from a
Gaussian process; after 8 to 64 trials in 36 parameters that process is little more than its prior, and the bound stays
at about two standard deviations of the trials whatever they were (measured on a bowl, Optuna 5.0). Counting trials
without progress (``BestValueStagnationEvaluator``) does not say how much is left to gain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.controllers.policy import Proposer, depart, proposer_for
from ciliary.agents.controllers.search import SamplerFactory, SearchController, SearchState, enqueue, near

N_RECENT = 2
"""Populations that the guess of what is left to gain is made from, and the search lasts at least."""


@dataclass(frozen=True, eq=False)
class HybridState:
    """The study, and what was found so far.

    Attributes:
        search: the study (it changes in place).
        best_u: (P,) best setting so far.
        best: its total.
        excess: how far the search's last trials came above the best before their population.
        gain: what the next population may be expected to gain.
        n_seen: trials told.
        n_first: trials laid out at the beginning.
    """

    search: SearchState
    seed: int
    best_u: np.ndarray
    best: float = math.inf
    excess: tuple[float, ...] = ()
    gain: float = math.inf
    n_seen: int = 0
    n_first: int = 1


@dataclass(frozen=True)
class HybridController(ControllerBase):
    """Trial 0 the defaults, trial 1 the policy's proposal, then an Optuna search around the better one.

    The first population also holds the best of the objective's recommended settings, where that is another one, and
    settings around the proposal. Until the search has enough trials to learn from, populations are drawn around the
    best setting so far, at scales from ``local_spread`` down to an eighth of it. CMA-ES needs neither: its mean is the
    proposal, its first step size ``local_spread``.

    Attributes:
        sampler: ``tpe`` or ``cmaes``; others of :data:`ciliary.agents.controllers.search.SAMPLERS` and an own one work
            too.
        policy: a policy, the file of one, or None: what
            :func:`~ciliary.agents.controllers.policy.proposer_for` finds for the objective.
        population: settings tried at once, >= 2.
        local_spread: how far around the best to look, as a standard deviation in u, > 0.
        n_near: trials around the best, before the sampler takes over (TPE).
        min_gain: the search ends when a further population may be expected to gain less (:func:`expected_gain`),
            >= 0; 0 never ends it.
    """

    sampler: str | SamplerFactory = "tpe"
    policy: Proposer | Path | str | None = None
    population: int = 4
    local_spread: float = 0.1
    n_near: int = 8
    min_gain: float = 0.001

    def __post_init__(self) -> None:
        if self.population < 2 or self.local_spread <= 0 or self.min_gain < 0 or self.n_near < 0:
            raise ValueError(
                "expected population >= 2, local_spread > 0, n_near >= 0 and min_gain >= 0, "
                f"got {self.population}, {self.local_spread}, {self.n_near} and {self.min_gain}"
            )
        _ = self.search  # a wrong sampler is answered here

    @property
    def name(self) -> str:
        """``hybrid`` with TPE, else ``hybrid-<sampler>``."""
        return "hybrid" if self.sampler == "tpe" else f"hybrid-{self.search.name}"

    @property
    def search(self) -> SearchController:
        """The search inside."""
        return SearchController(self.sampler, population=self.population, spread=self.local_spread)

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> HybridState:
        """Ask the policy once, at the defaults, and lay out the study.

        Raises:
            FileNotFoundError, ValueError: as :func:`ciliary.agents.controllers.policy.proposer_for`, or if the policy
                does not know the observation.
        """
        proposed = proposer_for(self.policy, info).propose(depart(obs, info))
        proposal = np.clip(np.asarray(proposed, dtype=np.float64), -1, 1)
        first, starts = proposal[None], info.get("starts")
        if self.sampler != "cmaes":
            if starts is not None and not np.allclose(starts[0], proposal, atol=1e-6):
                first = np.concatenate([first, starts[:1]])
            n = max(0, self.population - 1 - len(first))
            around = near(proposal, info["parameters"].names, spread=self.local_spread, seed=seed, n=n)
            first = np.concatenate([first, around])
        search = self.search.begin(info, seed, centre=proposal, first=first)
        return HybridState(search, seed, np.asarray(info["default_u"], dtype=np.float64), n_first=1 + len(first))

    def act(self, state: HybridState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, HybridState]:
        """The next population, (N, P)."""
        if state.n_first <= state.n_seen < state.n_first + self.n_near and self.sampler != "cmaes":
            names, seed = info["parameters"].names, [state.seed, state.n_seen]
            around = near(state.best_u, names, spread=self.local_spread, seed=seed, n=self.population)
            enqueue(state.search, around)
        u, search = self.search.act(state.search, obs, info)
        return u, replace(state, search=search)

    def learn(self, state: HybridState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> HybridState:
        """Tell the study, keep the best, and guess what the next population will gain."""
        total = np.asarray(info["terms"]["total"], dtype=np.float64)
        finite = np.where(np.isfinite(total), total, np.inf)
        i_best, n_given = int(np.argmin(finite)), max(0, 2 - state.n_seen)
        # the defaults and the proposal say nothing about what the search draws
        before = min([state.best, *finite[:n_given]])
        with np.errstate(invalid="ignore"):
            excess = (*state.excess, *(finite[n_given:] - before))[-N_RECENT * self.population :]
        is_better = finite[i_best] < state.best
        return HybridState(
            self.search.learn(state.search, u, obs, info),
            state.seed,
            best_u=u[i_best].astype(np.float64) if is_better else state.best_u,
            best=float(finite[i_best]) if is_better else state.best,
            excess=excess,
            gain=expected_gain(np.array(excess), n=self.population),
            n_seen=state.n_seen + len(u),
            n_first=state.n_first,
        )

    def is_done(self, state: HybridState) -> bool:
        """Whether a further population is not worth it."""
        is_known = len(state.excess) >= N_RECENT * self.population
        return is_known and state.gain < self.min_gain


def expected_gain(excess: np.ndarray, *, n: int) -> float:
    """Upper estimate of how far n more trials will fall below the best, if they are like the last ones.

    Expected improvement (Jones, Schonlau & Welch 1998) of one trial, times n, which bounds that of the best of n. Where
    they take what a surrogate model predicts, a trial's excess over the best is here taken as normal, with the mean and
    the standard deviation of the last ones. Each is measured against the best of its own time: a search that makes
    steady progress may be expected to go on with it.

    Args:
        excess: (T,) how far each of the last trials came above the best before its population; below 0 it was a gain.
            Non-finite ones are left out.
        n: trials to come.

    Returns:
        >= 0, in units of the total; inf with fewer than two finite ones, when nothing can be said.
    """
    finite = np.asarray(excess, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2:
        return math.inf
    mean, std = float(finite.mean()), float(finite.std(ddof=1))
    if std == 0:
        return n * max(0.0, -mean)
    normal, z = NormalDist(), -mean / std
    return n * std * (z * normal.cdf(z) + normal.pdf(z))
