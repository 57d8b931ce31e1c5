"""Memory: what helped on the most similar images seen before is tried first on this one.

Case-based transfer between instances, as meta-learning warm-starts a search (Feurer, Springenberg & Hutter 2015,
"Initializing Bayesian hyperparameter optimization via meta-learning"): nearest neighbours in standardised features of
the instance, here the percept's statistics at the defaults. The memories are a frozen value; who runs many episodes
gives each the memories of those before it (``ciliary.tuning.sessions.experience``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ciliary.agents.base import ControllerBase
from ciliary.agents.trace import statistics_of
from ciliary.cortex.parameters import COLUMNS_V0, ParameterTable

_SAME_U = 1e-4  # settings nearer than this in every entry are one setting


@dataclass(frozen=True, eq=False)
class Memories:
    """What M past episodes found, the oldest first.

    Attributes:
        statistics: (M, D) the percept at the defaults.
        u: (M, P) the setting applied, in [-1, 1].
        gain: (M,) fall of the total against the defaults; > 0 is better.
        mark: M marks of the objective the gain was measured by: its name, and after a space whatever tells two of one
            name apart.
        names: M names of what was looked at; of two memories of one name and mark the newest counts.
        parameters: P names of the columns of ``u``; empty where they are not known.

    Raises:
        ValueError: if the shapes or the names do not fit together, or a number is not finite, or u leaves [-1, 1].
    """

    statistics: np.ndarray
    u: np.ndarray
    gain: np.ndarray
    mark: tuple[str, ...]
    names: tuple[str, ...]
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shapes = (self.statistics.ndim, self.u.ndim, self.gain.ndim)
        lengths = {len(self.statistics), len(self.u), len(self.gain), len(self.mark), len(self.names)}
        if shapes != (2, 2, 1) or len(lengths) != 1:
            raise ValueError(
                "expected statistics (M, D), u (M, P), gain (M,), M marks and M names, got "
                f"{self.statistics.shape}, {self.u.shape}, {self.gain.shape}, {len(self.mark)} and {len(self.names)}"
            )
        if self.parameters and len(self.parameters) != self.u.shape[1]:
            raise ValueError(f"expected {self.u.shape[1]} names of parameters or none, got {len(self.parameters)}")
        if not all(np.isfinite(x).all() for x in (self.statistics, self.u, self.gain)):
            raise ValueError("expected memories of finite numbers; leave episodes with nan or inf out")
        if np.abs(self.u).max(initial=0) > 1 + 1e-6:
            raise ValueError("expected remembered settings u in [-1, 1], got settings out of it")

    def __len__(self) -> int:
        return len(self.u)


def load_memories(path: Path) -> Memories:
    """Memories from a file that ``ciliary.tuning.sessions.experience.save_memories`` wrote.

    A file of version 0.1 does not name the parameters: with as many columns as that had, they are its.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("statistics", "u", "gain", "mark", "names")}
            parameters = tuple(file["parameters"].tolist()) if "parameters" in file else ()
    except FileNotFoundError:
        raise
    except Exception as error:  # broken archives raise almost anything
        raise ValueError(f"{path}: not a file of memories ({error}); write one with save_memories") from error
    mark, names = (tuple(arrays.pop(name).tolist()) for name in ("mark", "names"))
    if not parameters and arrays["u"].ndim == 2 and arrays["u"].shape[1] == len(COLUMNS_V0):
        parameters = COLUMNS_V0
    return Memories(**arrays, mark=mark, names=names, parameters=parameters)


def aligned(memories: Memories, table: ParameterTable | None) -> Memories:
    """The memories with the columns of this table, if both are known by name and have a parameter in common.

    A parameter that was not remembered has its default.
    """
    if table is None or memories.parameters == table.names or not any(name in table for name in memories.parameters):
        return memories
    u, _ = table.align(memories.parameters, memories.u)
    return replace(memories, u=u, parameters=table.names)


def most_similar(memories: Memories, statistics: np.ndarray, *, objective: str | None = None) -> np.ndarray:
    """Rows of the memories that helped, the most similar first, (K,) int.

    Statistics are divided by their standard deviation over the memories and the present image; entries that do not
    vary do not count. Of equals the newest comes first.

    Args:
        memories: (M, D) statistics and what came of them.
        statistics: (D,) of the present image; entries that are not finite do not count.
        objective: only memories of this objective (the first word of their mark); None: of any.
    """
    newest = {
        (name, mark): i
        for i, (name, mark, gain) in enumerate(zip(memories.names, memories.mark, memories.gain, strict=True))
        if gain > 0 and objective in (None, mark.split(" ")[0])
    }
    rows = np.array(sorted(newest.values(), reverse=True), dtype=np.int64)
    known = np.isfinite(statistics)
    here = np.where(known, statistics, 0.0)
    scale = np.concatenate([memories.statistics, here[None]]).std(0)
    weight = np.where(known & (scale > 0), 1 / np.where(scale > 0, scale, 1.0), 0.0)
    distance = np.square((memories.statistics[rows] - here) * weight).sum(1)
    return rows[np.argsort(distance, kind="stable")]


@dataclass(frozen=True, eq=False)
class ListState:
    """The settings that are left to propose, (N, P)."""

    left: np.ndarray


@dataclass(frozen=True)
class MemoryController(ControllerBase):
    """The defaults, then the settings of the most similar images seen before; done when they are tried.

    Without a memory that helps (none at all, none of this objective, none that can be compared because the world has
    other parameters or statistics) it tries the objective's own list (:func:`recommended`).

    Attributes:
        memories: what is remembered; the path of a file of memories; or None.
        k: settings taken from memory, >= 1; None takes as many as the budget allows.
        population: settings proposed at once, >= 1.
    """

    memories: Memories | Path | None = None
    k: int | None = 5
    population: int = 16

    name = "memory"
    is_seedless = True  # it draws nothing

    def __post_init__(self) -> None:
        if self.population < 1 or (self.k is not None and self.k < 1):
            raise ValueError(f"expected k >= 1 (or None) and population >= 1, got {self.k} and {self.population}")

    def init(self, obs: Any, info: Mapping[str, Any], seed: int) -> ListState:
        """Remember: the defaults and the settings to try."""
        del seed
        memories = load_memories(self.memories) if isinstance(self.memories, (str, Path)) else self.memories
        statistics, default = statistics_of(obs), np.asarray(info["default_u"], dtype=np.float32)
        if memories is None or statistics is None:
            return ListState(recommended(info))
        memories = aligned(memories, info.get("parameters"))
        if not _fits(memories, statistics, default):
            return ListState(recommended(info))
        rows = most_similar(memories, statistics, objective=info.get("objective"))
        n_most = self.k if self.k is not None else info["n_trials"]
        found = _distinct(memories.u[rows].astype(np.float32), default, n_most)
        return ListState(np.concatenate([default[None], found]) if len(found) else recommended(info))

    def act(self, state: ListState, obs: Any, info: Mapping[str, Any]) -> tuple[np.ndarray, ListState]:
        """The next settings of the list, (N, P)."""
        del obs
        n = min(self.population, info.get("n_remaining", self.population))
        return state.left[:n], ListState(state.left[n:])

    def learn(self, state: ListState, u: np.ndarray, obs: Any, info: Mapping[str, Any]) -> ListState:
        """Nothing within an episode: the loop remembers the best, and the session the episode."""
        del u, obs, info
        return state

    def is_done(self, state: ListState) -> bool:
        """Whether nothing is left to propose."""
        return len(state.left) == 0


def recommended(info: Mapping[str, Any]) -> np.ndarray:
    """The defaults and the settings that the objective recommends, in its order, (1 + M, P).

    The list was chosen on labelled training images so that for each of them some member is good (a portfolio of
    complementary settings: Xu et al. 2010, Hydra).
    """
    default, starts = np.asarray(info["default_u"])[None], info.get("starts")
    return default if starts is None else np.concatenate([default, starts])


def _fits(memories: Memories, statistics: np.ndarray, default: np.ndarray) -> bool:
    """Whether memories can be compared with this world; one of another size is said aloud."""
    there, here = (memories.statistics.shape[1], memories.u.shape[1]), (len(statistics), len(default))
    if len(memories) and there != here:
        warnings.warn(
            f"expected memories of {here[0]} statistics and {here[1]} parameters, got {there[0]} and {there[1]}: they "
            "are of another world or version and are left aside",
            stacklevel=3,
        )
    return len(memories) > 0 and there == here


def _distinct(u: np.ndarray, default: np.ndarray, n_most: int) -> np.ndarray:
    """The first settings of u (K, P) that are neither the default nor each other's copies, at most ``n_most``."""
    kept = [default]
    for row in u:
        if len(kept) > n_most:
            break
        if np.abs(np.stack(kept) - row).max(1).min() > _SAME_U:
            kept.append(row)
    return np.stack(kept)[1:]
