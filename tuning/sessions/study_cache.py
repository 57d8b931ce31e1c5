"""Optuna studies of episodes: kept in a storage in bulk, one batch at a time, and played back after an interruption.

Controllers search in memory (a storage costs up to 50 times the search itself). When a storage is asked for, every
batch of trials is added to it at once. A controller is deterministic: given its seed and the same answers it proposes
the same settings again. So an interrupted study goes on by *playing back*: the controller starts over, proposals that
the storage knows are answered from it without a single evaluation, and the first unknown one is evaluated. The trace
which results is the one an undisturbed run would have made, and a study can be lengthened by more trials the same way.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from ciliary.agents.base import ControllerBase
from ciliary.cortex.parameters import COLUMNS_V0, PARAMETERS
from ciliary.cortex.table import ParameterTable
from ciliary.envs.batch import Evaluation
from ciliary.tuning.runs.record import EpisodeKey, plain
from ciliary.tuning.runs.store import driver_hint, masked
from ciliary.tuning.sessions.settings import SessionSettings

_MOST_TRIES = 6  # 6 s in all, while others make the tables


class StorageError(RuntimeError):
    """The Optuna storage cannot be used."""


def study_name(*, controller: str, image: str, disturbance: str, seed: int, fingerprint: str) -> str:
    """``accommodate__<controller>__<image>__<disturbance>__<seed>__<fingerprint>``.

    The fingerprint (of the pixels and of all settings that shape losses) keeps studies of equal stems or other sizes
    apart: their losses must not be mixed.
    """
    return f"accommodate__{controller}__{image}__{disturbance}__{seed}__{fingerprint}"


def open_storage(storage: str) -> BaseStorage:
    """A database for an address with ``://``, else a journal file of that path.

    Processes that find a database empty all make its tables, as the tasks of an array do. One of them wins, the others
    try again: by then the tables are there.

    Raises:
        StorageError: naming the storage and the reason.
    """
    try:
        with quiet_optuna():
            if "://" in storage:
                return _open_database(storage)
            return JournalStorage(JournalFileBackend(storage))
    except Exception as error:  # drivers raise what they like: ImportError, OperationalError, OSError, ...
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StorageError(
            f"cannot open the storage {masked(storage)!r}: {masked(reason)}; expected a URL such as "
            f"sqlite:///study.db or the path of a journal file in an existing folder{driver_hint(storage, error)}"
        ) from error


def _open_database(address: str) -> RDBStorage:
    for i in range(_MOST_TRIES):
        try:
            return RDBStorage(address)
        except Exception as error:
            words = f"{type(error).__name__} {error}"
            is_beaten = any(sign in words for sign in ("IntegrityError", "already exists", "database is locked"))
            if not is_beaten or i == _MOST_TRIES - 1:
                raise
            time.sleep(0.2 * 2**i)
    raise AssertionError("the last try returns or raises")


class StudyCache:
    """The stored trials of one episode: settings -> terms, in float32, which is what environments compute with.

    Columns are stored by name: where the parameters have changed since, a new one has its default, and one that is no
    more is dropped.

    Args:
        storage: from :func:`open_storage`.
        name: of the study.
        table: the columns of the settings.
        about: user attributes of a new study, for whoever looks at it.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        table: ParameterTable = PARAMETERS,
        *,
        about: Mapping[str, str | int] | None = None,
    ):
        self.table = table
        with quiet_optuna():
            self.study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        self._known: dict[bytes, dict[str, float | None]] = {}
        names = self.study.user_attrs.get("columns")
        trials = self.study.get_trials(deepcopy=False)
        if names is None and not trials:
            for word, value in {"columns": list(table.names), **(about or {})}.items():
                self.study.set_user_attr(word, value)
        # Another process may have kept the same: each setting of a batch counts once.
        batches = Counter(batch for batch, _ in {(_batch_of(t), str(t.user_attrs.get("u"))) for t in trials})
        self._stored: dict[bytes, tuple[str, int] | None] = {}  # the batch of each trial
        for trial in trials:
            if "u" in trial.user_attrs and "terms" in trial.user_attrs:
                key = _key(self._aligned(trial.user_attrs.get("columns", names), trial.user_attrs["u"]))
                # Of a batch that was being written when we were killed nothing is known: evaluated in part, the rest
                # of it would differ in the last digits, and with it what is searched next.
                batch = self._stored[key] = _batch_of(trial)
                if batch is None or batches[batch] == batch[1]:
                    self._known[key] = trial.user_attrs["terms"]

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, u: np.ndarray) -> list[dict[str, float | None] | None]:
        """The terms of each of the settings u (N, P), None where it is unknown; null stands for a non-finite loss."""
        return [self._known.get(_key(row)) for row in u]

    def keep(self, u: np.ndarray, terms: Mapping[str, np.ndarray]) -> None:
        """Add a batch of new trials, in one go; a trial whose total is not finite is kept as failed."""
        theta = self.table.by_name(np.asarray(u))
        distributions: dict[str, BaseDistribution] = {
            p.name: FloatDistribution(p.low, p.high, log=p.scale == "log") for p in self.table
        }
        trials = []
        mark = hashlib.sha256(_key(u)).hexdigest()[:16]
        own_keys = {k for k in map(_key, u) if (self._stored.get(k, (mark, 0)) or ("", 0))[0] == mark}
        batch = (mark, len(own_keys))
        for i, row in enumerate(u):
            values = {name: float(column[i]) for name, column in terms.items()}
            is_whole = math.isfinite(values["total"])
            self._known[_key(row)] = plain(values)
            if _key(row) in self._stored:
                continue
            self._stored[_key(row)] = batch
            own: dict[str, Any] = {
                "u": [float(x) for x in np.asarray(row, np.float32)],
                "terms": plain(values),
                "batch": batch,
            }
            if self.study.user_attrs.get("columns", list(COLUMNS_V0)) != list(self.table.names):
                own["columns"] = list(self.table.names)  # the study was begun with others
            trials.append(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.COMPLETE if is_whole else optuna.trial.TrialState.FAIL,
                    value=values["total"] if is_whole else None,
                    params={name: float(column[i]) for name, column in theta.items()},
                    distributions=distributions,
                    user_attrs=own,
                )
            )
        with quiet_optuna():
            self.study.add_trials(trials)

    def _aligned(self, names: Sequence[str] | None, u: Sequence[float]) -> np.ndarray:
        row = np.array([u], np.float32)
        names = names or (COLUMNS_V0 if row.shape[1] == len(COLUMNS_V0) else self.table.names)
        found: np.ndarray = (self.table.align(names, row)[0] if len(names) == row.shape[1] else row)[0]
        return found


def open_study(
    storage: BaseStorage | None,
    settings: SessionSettings,
    controller: ControllerBase,
    key: EpisodeKey,
    table: ParameterTable = PARAMETERS,
) -> StudyCache | None:
    """The stored study of an episode.

    None without a storage, or for a controller that looks at two versions of an image in one episode (a study knows
    settings, not images).
    """
    if storage is None or controller.env_options:
        return None
    name = study_name(
        controller=key.controller,
        image=key.image,
        disturbance=key.disturbance,
        seed=key.seed,
        fingerprint=f"{key.fingerprint}-{settings.study_fingerprint()}",
    )
    shown: dict[str, str | int] = {"image": key.image, "disturbance": key.disturbance, "controller": key.controller}
    shown |= {"seed": key.seed, "objective": settings.objective, "size_px": settings.size_px}
    return StudyCache(storage, name, table, about=shown)


class RememberingEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Answers population evaluations on the episode's own views from a :class:`StudyCache`.

    New settings are evaluated by the environment inside and kept, a batch at a time. The loop finds its ``evaluate``
    before that of the environment inside. Only for episodes that keep one image from beginning to end: a study knows
    settings, not images.

    Attributes:
        n_remembered: evaluations answered from the study.
    """

    def __init__(self, env: gym.Env[Any, Any], study: StudyCache) -> None:
        super().__init__(env)
        self._study = study
        self.n_remembered = 0

    def evaluate(self, u: np.ndarray, views_seed: int | None = None) -> Evaluation:
        """Terms of N settings u (N, P). Percepts are not remembered; measurements on fresh views are not kept."""
        world: Any = self.env.unwrapped
        if views_seed is not None:
            measured: Evaluation = world.evaluate(u, views_seed=views_seed)
            return measured
        u = np.asarray(u)
        rows = self._study.recall(u)
        i_new = [i for i, row in enumerate(rows) if row is None]
        if i_new:
            fresh: Evaluation = world.evaluate(u[i_new])
            self._study.keep(u[i_new], fresh.terms)
            if len(i_new) == len(rows):
                return fresh
            for j, i in enumerate(i_new):
                rows[i] = {name: float(values[j]) for name, values in fresh.terms.items()}
        self.n_remembered += len(rows) - len(i_new)
        whole = [row for row in rows if row is not None]
        return Evaluation(u, {name: np.array([_number(row[name]) for row in whole]) for name in whole[0]})

    def evaluate_with_gradient(self, u: np.ndarray) -> tuple[Evaluation, np.ndarray]:
        """Terms of N settings u (N, P) and their gradient (N, P), evaluated afresh: a gradient is not remembered.

        New trials are kept all the same, for whoever reads the study.
        """
        world: Any = self.env.unwrapped
        evaluation, gradient = world.evaluate_with_gradient(u)
        is_new = np.array([row is None for row in self._study.recall(u)])
        if is_new.any():
            self._study.keep(np.asarray(u)[is_new], {n: v[is_new] for n, v in evaluation.terms.items()})
        return evaluation, gradient


def _batch_of(trial: FrozenTrial) -> tuple[str, int] | None:
    """The batch of a trial, and how many trials it has that no other has; None of a version that did not say."""
    said = trial.user_attrs.get("batch")
    return None if said is None else (str(said[0]), int(said[1]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _key(u: np.ndarray | Sequence[float]) -> bytes:
    return np.asarray(u, dtype=np.float32).tobytes()


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna announces every study it makes; one an episode is no news."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
