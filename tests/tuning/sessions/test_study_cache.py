"""Studies in a storage: bulk, exact, and apart from each other."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import optuna
import pytest

from ciliary.cortex.parameters import PARAMETERS
from ciliary.envs.toy import ToyEnv
from ciliary.tuning.sessions.make_env import make_controller
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.study_cache import RememberingEnv, StorageError, StudyCache, open_storage, open_study


@pytest.fixture
def storage(tmp_path):
    return open_storage(str(tmp_path / "studies.log"))


def test_what_is_kept_comes_back_to_the_last_bit(storage):
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, (3, len(PARAMETERS)))
    terms = {"total": rng.random(3), "stability": rng.random(3)}
    StudyCache(storage, "a").keep(u, terms)
    again = StudyCache(storage, "a")
    assert len(again) == 3
    for i, row in enumerate(again.recall(u)):
        assert row == {"total": terms["total"][i], "stability": terms["stability"][i]}
    assert again.recall(-u) == [None] * 3
    assert StudyCache(storage, "b").recall(u) == [None] * 3


def test_a_trial_that_is_not_finite_is_kept_as_failed(storage):
    memory = StudyCache(storage, "a")
    memory.keep(np.zeros((1, len(PARAMETERS))), {"total": np.array([math.nan])})
    (trial,) = memory.study.trials
    assert trial.state == optuna.trial.TrialState.FAIL
    assert StudyCache(storage, "a").recall(np.zeros((1, len(PARAMETERS)))) == [{"total": None}]


def test_a_study_reads_in_physical_units(storage):
    memory = StudyCache(storage, "a")
    memory.keep(np.stack([-np.ones(len(PARAMETERS)), np.ones(len(PARAMETERS))]), {"total": np.array([0.5, 0.25])})
    assert memory.study.best_value == 0.25
    for side, trial in zip(("low", "high"), memory.study.trials, strict=True):
        assert trial.params == pytest.approx({p.name: getattr(p, side) for p in PARAMETERS})


def test_studies_of_other_sizes_or_pixels_are_other_studies(storage):
    settings = SessionSettings(controller="tpe")
    controller = make_controller(settings)

    def name(settings, fingerprint="f"):
        key = settings.key("cat", fingerprint, "fog:2")
        return open_study(storage, settings, controller, key).study.study_name

    assert name(settings).startswith("accommodate__tpe__cat__fog:2__0__")
    assert name(settings) == name(replace(settings, n_trials=7, use_guard=False))
    assert len({name(settings), name(settings, "g"), name(replace(settings, size_px=96))}) == 3


def test_a_controller_which_changes_the_image_keeps_no_memory(storage):
    settings = SessionSettings(controller="normalise")
    key = settings.key("cat", "f", "none")
    assert open_study(storage, settings, make_controller(settings), key) is None


@pytest.mark.parametrize("storage", ["sqlite:////no/such/folder/s.db", "nonsense://x", "/no/such/folder/s.log"])
def test_a_storage_that_cannot_be_opened_is_named(storage):
    with pytest.raises(StorageError, match="cannot open the storage"):
        open_storage(storage)


def test_what_is_remembered_is_counted_and_not_evaluated_again(storage):
    env = ToyEnv(n_parameters=len(PARAMETERS), action_mode="absolute")
    env.reset(seed=0)
    remembering = RememberingEnv(env, StudyCache(storage, "a"))
    u = np.random.default_rng(0).uniform(-1, 1, (5, len(PARAMETERS))).astype(np.float32)
    remembering.evaluate(u[:3])
    assert remembering.n_remembered == 0
    totals = remembering.evaluate(u).terms["total"]
    assert (remembering.n_remembered, env.n_evaluations) == (3, 5)
    np.testing.assert_array_equal(totals, env.evaluate(u).terms["total"])


def test_a_batch_that_was_torn_is_evaluated_again_as_a_whole(storage):
    """Killed while four trials were written: in part it would be answered from here, in part afresh."""
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, (6, len(PARAMETERS)))
    totals = rng.random(6)
    whole = StudyCache(storage, "whole")
    whole.keep(u[:2], {"total": totals[:2]})
    whole.keep(u[2:], {"total": totals[2:]})
    torn = StudyCache(storage, "torn")
    torn.study.add_trials(whole.study.trials[:4])  # two of the second batch
    again = StudyCache(storage, "torn")
    assert [row is not None for row in again.recall(u)] == [True, True, False, False, False, False]
    again.keep(u[2:], {"total": totals[2:]})
    assert [row["total"] for row in again.recall(u)] == totals.tolist()
    assert len(again.study.trials) == 6  # none twice
    last = StudyCache(storage, "torn").recall(u)
    assert [row["total"] for row in last] == totals.tolist()


def test_a_batch_with_a_setting_of_an_earlier_one_is_whole(storage):
    u = np.random.default_rng(0).uniform(-1, 1, (3, len(PARAMETERS)))
    memory = StudyCache(storage, "a")
    memory.keep(u[:1], {"total": np.array([0.5])})
    memory.keep(u[[0, 1, 2, 1]], {"total": np.array([0.5, 0.25, 0.125, 0.25])})
    assert [row["total"] for row in StudyCache(storage, "a").recall(u)] == [0.5, 0.25, 0.125]
    assert len(memory.study.trials) == 3
