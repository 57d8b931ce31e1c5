"""The columns of a policy's file and those of the environment it plays in, brought together by name.

A table with a parameter more or fewer than at the time of training is no reason to train anew: what the policy does
not know keeps its default, what it would like to see and is told no more is told as its usual value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from ciliary.cortex.parameters import COLUMNS_V0, ParameterTable

# Entries of the observation when files did not name them. Frozen: do not follow ciliary.envs.observation.
_MAPS_V0 = ("on_off", "energy", "boundary", "affinity", "end_points", "contour", "barrier", "texture")
_SIMPLICES_V0 = ("regions_s1", "regions_s2", "slots", "masks")
STATISTICS_V0: tuple[str, ...] = (
    *("light_mean", "light_std", "red_green_mean", "blue_yellow_mean"),
    *(f"{name}_{what}" for name in _MAPS_V0 for what in ("mean", "std", "sparsity")),
    *(f"{name}_{what}" for name in _SIMPLICES_V0 for what in ("confidence", "effective_share")),
    *("boundary_density", "objectness_mean", "objectness_max", "n_segments_share"),
)
TERMS_V0: tuple[str, ...] = ("stability", "consistency", "collapse", "economy", "total")

_SEEN = ("statistics", "terms", "u")

#: By entry of the observation, the names of its columns.
Names = Mapping[str, tuple[str, ...]]


class Sized(Protocol):
    """A policy that says what it was trained on."""

    @property
    def columns(self) -> Names:
        """Names of the columns of ``u``, ``statistics`` and ``terms``, as far as it takes and knows them."""
        ...

    @property
    def usual(self) -> Mapping[str, np.ndarray]:
        """What an entry of ``statistics`` and ``terms`` is told as when it is not known."""
        ...

    @property
    def propose(self) -> Callable[..., np.ndarray]:
        """From one observation to the setting that follows, both in its own columns."""
        ...


AnySized = TypeVar("AnySized", bound=Sized)


def columns_of_file(about: Mapping[str, Any], sizes: Mapping[str, int]) -> Names:
    """The names of a policy's columns.

    Args:
        about: what its file says: ``names`` (of the settings), ``statistics`` and ``terms``.
        sizes: number of columns of the entries that it takes; names that do not fit it do not count. An old file
            without names has those of version 0.1 where their number is the same.

    Returns:
        names of those entries whose names are known.
    """
    known = {}
    for entry, key, old in (
        ("u", "names", COLUMNS_V0),
        ("statistics", "statistics", STATISTICS_V0),
        ("terms", "terms", TERMS_V0),
    ):
        said = tuple(about.get(key) or ())
        names = said or old
        if len(names) == sizes.get(entry):
            known[entry] = tuple(str(name) for name in names)
    return known


def columns_of_world(info: Mapping[str, Any]) -> Names:
    """The names of an environment's columns, as far as ``info`` says them."""
    told = {name: tuple(names) for name, names in (info.get("observed") or {}).items()}
    table = info.get("parameters")
    return told | ({"u": table.names} if isinstance(table, ParameterTable) else {})


@dataclass(frozen=True, eq=False)
class Aligned:
    """A policy that plays in an environment with other columns than its own.

    Attributes:
        policy: what was trained.
        here: columns of the environment.
        default_u: (P,) of the environment; what the policy does not set stays there.
        notes: a line for each kind of difference.
    """

    policy: Sized
    here: Names
    default_u: np.ndarray
    notes: tuple[str, ...]

    def propose(self, obs: Mapping[str, np.ndarray], **how: Any) -> np.ndarray:
        """The setting (P,) float32 in [-1, 1], in the environment's columns, that follows one of its observations."""
        own, told = self.policy.columns, dict(obs)
        for entry, names in own.items():
            if entry in self.here and entry in obs:
                usual = self.policy.usual.get(entry, np.zeros(len(names)))
                told[entry] = _picked(np.asarray(obs[entry]), self.here[entry], names, usual)
        return _picked(self.policy.propose(told, **how), own["u"], self.here["u"], self.default_u).astype(np.float32)


def align(policy: AnySized, info: Mapping[str, Any]) -> AnySized | Aligned:
    """The policy, brought to the environment that ``info`` (given to ``init``) tells of.

    It comes back as it is where the columns are the same, where either does not name them, and where they have no
    parameter in common: it then plays by position, or says that it belongs elsewhere.
    """
    own, here = policy.columns, columns_of_world(info)
    shared = [entry for entry in _SEEN if entry in own and entry in here and own[entry] != here[entry]]
    if not shared or not set(own.get("u", ())) & set(here.get("u", ())):
        return policy
    notes = []
    for entry in shared:
        what = {"u": "parameters", "statistics": "statistics", "terms": "terms"}[entry]
        if new := [name for name in here[entry] if name not in own[entry]]:
            fate = "keep their defaults" if entry == "u" else "are not looked at"
            notes.append(f"{what} that the policy does not know {fate}: {', '.join(new)}")
        if gone := [name for name in own[entry] if name not in here[entry]]:
            notes.append(f"{what} that the policy knows and are none here: {', '.join(gone)}")
    return Aligned(policy, here, np.asarray(info["default_u"], dtype=np.float32), tuple(notes))


def _picked(values: np.ndarray, names: Sequence[str], wanted: Sequence[str], usual: np.ndarray) -> np.ndarray:
    """``values`` (N,) of ``names`` in the order of ``wanted`` (M,); what is not there is taken from ``usual`` (M,)."""
    column = {name: i for i, name in enumerate(names)}
    found = [values[column[name]] if name in column else usual[j] for j, name in enumerate(wanted)]
    return np.array(found, dtype=np.asarray(values).dtype)
