"""What a session holds does not grow with its episodes: the memory of the ten thousandth image is that of the tenth."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace

import pytest
from mlflow.tracking._tracking_service import utils as mlflow_utils

from ciliary.agents.trace import Trace
from ciliary.cortex.percept import Percept
from ciliary.envs.batch import ImageBatch
from ciliary.tuning.runs.run import Run
from ciliary.tuning.sessions import outcome as outcomes
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.playing import Played
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Task
from ciliary_tests import worlds
from ciliary_tests.worlds import Recorder, inputs_of, make_toy

FIRST, N = 2, 7
PASSING = (Made, Played, Trace, Run, Task, ImageBatch, Percept)  # made anew in every episode


class Counting(Recorder):
    """Counts, at the end of an early and of the last episode, what of :data:`PASSING` is alive."""

    def __init__(self):
        super().__init__()
        self.alive, self.n_done = [], 0

    def done(self, *, was_done_before):
        self.n_done += 1
        if self.n_done in (FIRST, N):
            gc.collect()
            n = Counter(type(one) for one in gc.get_objects())
            self.alive.append({kind.__name__: n[kind] for kind in PASSING})


def test_nothing_of_an_episode_outlives_it_but_the_first_histories(settings, monkeypatch):
    monkeypatch.setattr(outcomes, "MOST_WHOLE", FIRST)
    monkeypatch.setattr(worlds, "seen", worlds.seen.__wrapped__)  # the helper's own memory of percepts
    display = Counting()
    asked = replace(settings, is_bare=True)
    gc.collect()
    gc.freeze()  # what is there before is not counted, nor gone through twice
    found = run_session(asked, inputs_of(*(f"p{i}" for i in range(N))), make_env=make_toy, display=display)
    early, late = display.alive
    assert late == early
    assert ["history" in record for record in found.records] == [True] * FIRST + [False] * (N - FIRST)


def test_mlflow_keeps_no_pool_of_threads_for_each_run(settings):
    """It keeps one for every run that its client wrote a file to, up to a thousand."""
    mlflow_utils._artifact_repos_cache.clear()
    run_session(replace(settings, is_bare=True), inputs_of(*"abc"), make_env=make_toy, display=Recorder())
    assert len(mlflow_utils._artifact_repos_cache) == 0


@pytest.mark.parametrize("n", [2, 5])
def test_the_settings_are_read_once_a_session(settings, monkeypatch, n):
    """Their mark reads the files that the cortex is made of: a quarter of a second an image when it built them, too."""
    n_asked = []
    real = SessionSettings.fingerprint
    monkeypatch.setattr(SessionSettings, "fingerprint", lambda self: n_asked.append(self) or real(self))
    run_session(replace(settings, is_bare=True), inputs_of(*"abcde"[:n]), make_env=make_toy, display=Recorder())
    assert len(n_asked) == 1


def test_stages_are_built_once_for_their_mark(monkeypatch):
    from ciliary.cortex.stages import inherited
    from ciliary.tuning.runs import fingerprints

    n_built = []
    real = inherited.load_inherited
    monkeypatch.setattr(inherited, "load_inherited", lambda *asked: n_built.append(asked) or real(*asked))
    fingerprints._load_inherited.cache_clear()
    asked = SessionSettings(inherited="contours")
    assert asked.mark == asked.mark
    assert asked.fingerprint() == SessionSettings(inherited="contours").fingerprint()
    assert len(n_built) == 1
