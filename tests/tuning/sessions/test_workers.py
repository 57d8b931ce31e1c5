"""Workers of this machine: who dies costs its own episode, and what they find is what one process finds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from ciliary.tuning.gaze.settings import GazeSettings
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.conduct import conduct
from ciliary.tuning.sessions.session import run_session
from ciliary_tests.ray_worlds import make_deadly
from ciliary_tests.toy_jobs import ToyJob, items_of
from ciliary_tests.worlds import Recorder, inputs_of


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_episode_and_none_if_it_was_chance(settings):
    """``c`` kills its worker once, by SIGKILL; ``d`` each time."""
    display = Recorder()
    asked = replace(settings, n_workers=2, is_bare=True)
    found = run_session(asked, inputs_of(*"abcde"), make_env=partial(make_deadly, folder=settings.out), display=display)
    advice = "(often: out of memory); --resume does it again, with fewer --workers"
    assert found.problems == [f"d.png: RuntimeError: a worker died {advice}"]
    assert [record["image"] for record in found.records] == ["a", "b", "c", "e"]
    assert all(line.startswith("a worker died; done again, one by one: ") for line in display.problems[:-1])
    lines = Counter((r["image"], r["status"]) for r in records.read(found.folder / records.FILE))
    assert lines == dict.fromkeys([*((name, "FINISHED") for name in "abce"), ("d", "FAILED")], 1)


@pytest.mark.slow
def test_workers_do_any_job(out):
    def play(**more):
        display = Recorder()
        job = ToyJob(GazeSettings(out=out, is_quiet=True, **more))
        return conduct(job, items_of("a", "unread", "full", "b", "c"), display), display.problems

    alone, said = play(session="alone")
    crowd, said_by_crowd = play(session="crowd", n_workers=2)
    told = [record["files"].pop("figure").replace("/crowd/", "/alone/") for record in crowd.records]
    assert told == [record["files"].pop("figure") for record in alone.records]
    assert crowd.records == alone.records
    assert sorted(said_by_crowd) == sorted(said) == ["full.png: Locked: disk full", "unread.png: no such page"]
    assert crowd.exit_code == 3
