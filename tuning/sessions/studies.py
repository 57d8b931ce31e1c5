"""Optuna studies of episodes: kept in a storage in bulk, one batch at a time, and played back after an interruption.

Controllers search in memory (a storage costs up to 50 times the search itself). When a storage is asked for, every
batch of trials is added to it at once. A controller is deterministic: given its seed and the same answers it proposes
the same settings again. So an interrupted study goes on by *playing back*: the controller starts over, proposals that
the storage knows are answered from it without a single evaluation, and the first unknown one is evaluated. The trace
which results is the one an undisturbed run would have made, and a study can be lengthened by more trials the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages.journal import JournalFileBackend

from ciliary.agents.base import Controller, env_options_of
from ciliary.cortex import PARAMETERS
from ciliary.tuning.runs.record import EpisodeKey, physical, plain
from ciliary.tuning.sessions.settings import SessionSettings

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    p.name: FloatDistribution(p.low, p.high, log=p.scale == "log") for p in PARAMETERS
}


class StorageError(RuntimeError):
    """The Optuna storage cannot be used."""


def study_name(*, controller: str, image: str, disturbance: str, seed: int, fingerprint: str) -> str:
    """``accommodate__<controller>__<image>__<disturbance>__<seed>__<fingerprint>``.

    The fingerprint (of the pixels and of all settings that shape losses) keeps studies of equal stems or other sizes
    apart: their losses must not be mixed.
    """
    return f"accommodate__{controller}__{image}__{disturbance}__{seed}__{fingerprint}"


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """A database for an address with ``://``, else a journal file of that path.

    Raises:
        StorageError: naming the storage and the reason.
    """
    try:
        with _quiet():
            if "://" in storage:
                return optuna.storages.RDBStorage(storage)
            backend = JournalFileBackend(storage)
            return optuna.storages.JournalStorage(backend)
    except Exception as error:  # drivers raise what they like: ImportError, OperationalError, OSError, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(
            f"cannot open the storage {storage!r}: {reason}; expected a URL such as sqlite:///study.db "
            "or the path of a journal file in an existing folder"
        ) from error


class Memory:
    """The stored trials of one episode: settings -> terms, in float32, which is what environments compute with."""

    def __init__(self, storage: optuna.storages.BaseStorage, name: str):
        with _quiet():
            self.study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        self._known: dict[bytes, dict[str, float]] = {}
        for trial in self.study.get_trials(deepcopy=False):
            if "u" in trial.user_attrs and "terms" in trial.user_attrs:
                self._known[_key(trial.user_attrs["u"])] = trial.user_attrs["terms"]

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, u: np.ndarray) -> list[dict[str, float] | None]:
        """The terms of each of the settings u (N, P), None where it is unknown; null stands for a non-finite loss."""
        return [self._known.get(_key(row)) for row in u]

    def keep(self, u: np.ndarray, terms: Mapping[str, np.ndarray]) -> None:
        """Add a batch of new trials, in one go; a trial whose total is not finite is kept as failed."""
        theta = physical(u)
        trials = []
        for i, row in enumerate(u):
            values = {name: float(column[i]) for name, column in terms.items()}
            is_whole = math.isfinite(values["total"])
            self._known[_key(row)] = plain(values)
            trials.append(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.COMPLETE if is_whole else optuna.trial.TrialState.FAIL,
                    value=values["total"] if is_whole else None,
                    params={name: float(column[i]) for name, column in theta.items()},
                    distributions=DISTRIBUTIONS,
                    user_attrs={"u": [float(x) for x in np.asarray(row, np.float32)], "terms": plain(values)},
                )
            )
        with _quiet():
            self.study.add_trials(trials)


def open_memory(
    storage: optuna.storages.BaseStorage | None, settings: SessionSettings, controller: Controller, key: EpisodeKey
) -> Memory | None:
    """The stored study of an episode; None without a storage, or for a controller that looks at two versions of an
    image in one episode (a memory knows settings, not images)."""
    if storage is None or env_options_of(controller):
        return None
    name = study_name(
        controller=key.controller,
        image=key.image,
        disturbance=key.disturbance,
        seed=key.seed,
        fingerprint=f"{key.fingerprint}-{settings.study_fingerprint()}",
    )
    return Memory(storage, name)


def _key(u) -> bytes:
    return np.asarray(u, dtype=np.float32).tobytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every study it makes; one an episode is no news."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
