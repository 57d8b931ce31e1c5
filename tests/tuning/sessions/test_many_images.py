"""Sessions of many images: read ahead, drawn in part, done by workers, in shards, and put together again."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from ciliary.tuning.cli.progress import pace
from ciliary.tuning.runs import record as records
from ciliary.tuning.runs.store import SESSIONS, tracking_uri
from ciliary.tuning.sessions import crew, parts
from ciliary.tuning.sessions import outcome as outcomes
from ciliary.tuning.sessions.ahead import read_ahead
from ciliary.tuning.sessions.gains import by_gain
from ciliary.tuning.sessions.merge import gather
from ciliary.tuning.sessions.merge_job import run as merge
from ciliary.tuning.sessions.merge_settings import MergeSettings
from ciliary.tuning.sessions.notes import describe_session
from ciliary.tuning.sessions.redraw import trace_of
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of, make_toy

NAMES = ("a", "b", "c", "d", "e")


def play(settings, names=NAMES, *, display=None):
    return run_session(settings, inputs_of(*names), make_env=make_toy, display=display or Recorder())


def numbers(found):
    """What does not depend on the clock, nor on who did it."""
    return [(r["key"], r["history"], r["before"], r["after"], r["guard"]) for r in found]


def pages(found):
    return sorted(path.stem for path in (found.folder / "figures").glob("*.png"))


def test_items_come_in_their_order_and_no_more_are_read_than_asked_for():
    n_read, may_read = [], threading.Event()

    def load(i):
        may_read.wait(5)
        n_read.append(i)
        return i * i

    pairs = read_ahead(range(100), load, n=3)
    may_read.set()
    first, reading = next(pairs)
    assert (first, reading.result()) == (0, 0)
    assert [item for item, _ in (next(pairs) for _ in range(5))] == [1, 2, 3, 4, 5]
    pairs.close()
    assert max(n_read) <= 5 + 3


def test_a_broken_item_breaks_its_own_future_only():
    def load(i):
        if i == 1:
            raise OSError("gone")
        return i

    found = [(i, reading.exception() is None) for i, reading in read_ahead(range(3), load)]
    assert found == [(0, True), (1, False), (2, True)]


@pytest.mark.slow
def test_figures_can_be_left_out_and_the_numbers_stay(settings):
    drawn = play(settings)
    bare = play(replace(settings, session="bare", is_bare=True))
    assert pages(drawn) == [*NAMES]
    assert not (bare.folder / "figures").exists()
    assert numbers(bare.records) == numbers(drawn.records)
    assert all(record["files"] == {} for record in bare.records)


def test_those_that_gained_most_are_drawn_at_the_end(settings):
    found = play(replace(settings, figures="best:2", use_guard=False))
    best = [record["image"] for record in by_gain(found.records)[:2]]
    assert pages(found) == sorted(best)
    assert {r["image"] for r in found.records if "figure" in r["files"]} == {*best}
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    for record in found.records:
        kept = {f.path for f in client.list_artifacts(found.run_ids[record["key"]])}
        assert ("figures" in kept) == (record["image"] in best)
        assert client.get_run(found.run_ids[record["key"]]).info.status == "FINISHED"


@pytest.mark.slow
def test_a_stop_still_draws_the_best_of_what_is_known(settings):
    n_batches = []

    def stop(progress):
        n_batches.append(progress)
        if len(n_batches) == 5:  # in the third episode
            os.kill(os.getpid(), signal.SIGINT)

    found = play(replace(settings, figures="best:9"), display=Recorder(stop))
    assert found.is_stopped
    assert pages(found) == ["a", "b"] == [record["image"] for record in found.records]
    again = play(replace(settings, figures="best:9"))
    assert (again.name, again.n_before, len(again.records)) == ("s", 2, 5)
    assert pages(again) == [*NAMES]


def test_a_drawn_record_is_the_episode_that_was_played(settings):
    """What is drawn from a record stands at the setting that was applied, and has every trial."""
    (record,) = play(replace(settings, figures="none"), ("a",)).records
    trace = trace_of(json.loads(json.dumps(record)), make_toy(settings).parameters)
    np.testing.assert_array_equal(trace.total, record["history"]["total"])
    assert trace.theta_chosen == pytest.approx(record["parameters"])
    assert (trace.ending.name, trace.n_trials) == (record["ending"]["name"], 6)


def test_a_result_is_kept_before_it_is_drawn(settings, monkeypatch):
    """A process killed while it draws has lost a picture, and when it goes on nothing stands twice."""

    def die(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("ciliary.tuning.sessions.episode.draw_episode", die)
    with pytest.raises(KeyboardInterrupt):
        play(settings, ("a",))
    file = settings.out / "s" / records.FILE
    assert [record["image"] for record in records.read(file)] == ["a"]
    monkeypatch.undo()
    monkeypatch.setattr("ciliary.tuning.sessions.bench.make", keeping_only)
    found = play(settings, ("a", "b"))
    assert (found.name, [record["image"] for record in found.records]) == ("s", ["a", "b"])
    assert [record["image"] for record in records.read(file)] == ["a", "b"]


def keeping_only(*arguments, **more):
    """An episode that is made without figures."""
    from ciliary.tuning.sessions.episode import make as real

    return real(*arguments, **{**more, "is_drawn": False})


def test_a_store_that_fails_costs_no_result(settings, monkeypatch):
    def fail(*arguments, **more):
        raise OSError("database is gone")

    monkeypatch.setattr("ciliary.tuning.sessions.tracking.track_episode", fail)
    found = play(settings, ("a", "b"))
    assert [record["image"] for record in found.records] == ["a", "b"]
    assert found.problems == [f"{name}.png: not tracked: OSError: database is gone" for name in "ab"]
    assert {r["status"] for r in records.read(found.folder / records.FILE)} == {"FINISHED"}


def test_what_a_worker_lacks_is_said_of_each_task(monkeypatch):
    class Lame:
        def build(self):
            raise FileNotFoundError("no weights at x")

    monkeypatch.setattr(crew, "be_worker", lambda n: None)
    worker = type("_Worker", (), {"bench": None, "error": None})
    monkeypatch.setattr(crew, "_Worker", worker)
    crew._start(Lame(), 1, threading.Event(), threading.Lock())
    assert str(crew._work(None)) == "no weights at x"
    worker.stop.set()
    assert isinstance(crew._work(None), crew.Cut)


def test_an_error_arrives_though_pickle_cannot_build_it_again():
    class Local(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a}{b}")

    assert str(crew.portable(Local(1, 2))) == "Local: 12"
    assert isinstance(crew.portable(ValueError("x")), ValueError)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(settings):
    """Each image once, in the order of the images; Ctrl-C in between loses and doubles nothing."""
    alone = play(replace(settings, session="alone", is_bare=True))
    n_done = []

    class Stopping(Recorder):
        def done(self, *, was_done_before):
            n_done.append(was_done_before)
            if len(n_done) == 1:
                os.kill(os.getpid(), signal.SIGINT)

    crowd = replace(settings, n_workers=2, is_bare=True)
    first = play(crowd, display=Stopping())
    assert first.is_stopped
    assert 1 <= len(first.records) < len(NAMES)
    again = play(crowd)
    assert again.exit_code == 0
    assert (again.name, again.n_before) == ("s", len(first.records))
    assert numbers(again.records) == numbers(alone.records)
    lines = [record["key"] for record in records.read(again.folder / records.FILE)]
    assert sorted(lines) == sorted(record["key"] for record in alone.records)


def test_a_long_session_holds_no_histories(settings, monkeypatch):
    monkeypatch.setattr(outcomes, "MOST_WHOLE", 2)
    found = play(replace(settings, figures="best:5"))
    assert ["history" in record for record in found.records] == [True, True, False, False, False]
    assert pages(found) == [*NAMES]  # those are read again from the file
    describe_session(found.records, found.run_ids, found.problems, "0")


@pytest.mark.parametrize("shard", ["1/3", "2/3", "3/3"])
def test_shards_are_disjoint_and_together_all(shard):
    whole = [f"{i}" for i in range(10)]
    others = [parts.part(whole, f"{i}/3") for i in (1, 2, 3) if f"{i}/3" != shard]
    own = parts.part(whole, shard)
    assert sorted([*own, *others[0], *others[1]]) == whole
    assert 3 <= len(own) <= 4


@pytest.mark.slow
def test_merged_shards_are_the_whole(settings, tmp_path, capsys):
    whole = play(replace(settings, session="whole", is_bare=True))
    for i in (1, 2, 3):
        shard = play(replace(settings, is_bare=True, shard=f"{i}/3"))
        assert shard.name == f"s-shard{i}of3"
    asked = MergeSettings((str(settings.out),), is_quiet=True)
    assert merge(asked) == 0
    file = settings.out / "s-merged" / records.FILE
    assert numbers(records.read(file)) == numbers(whole.records)
    before = runs(settings)
    assert merge(asked) == 0  # again: nothing stands twice
    assert numbers(records.read(file)) == numbers(whole.records)
    assert runs(settings) == before
    assert capsys.readouterr().err == ""


def runs(settings):
    client = MlflowClient(tracking_uri=tracking_uri(settings.out))
    return len(client.search_runs([client.get_experiment_by_name(SESSIONS).experiment_id]))


def test_what_shards_lack_is_named(settings, capsys):
    play(replace(settings, is_bare=True, shard="1/3"))
    play(replace(settings, is_bare=True, shard="3/3"), ("a", "b", "c"))
    gathered = gather([settings.out, settings.out / "s-shard1of3"])
    assert [record["image"] for record in gathered.records] == ["a", "c", "d"]
    assert gathered.missing == ["shard 2/3 is missing", "b (none) is missing", "e (none) is missing"]
    assert gathered.n_twice == 0
    assert merge(MergeSettings((str(settings.out),), is_quiet=True)) == 3
    assert "b (none) is missing" in capsys.readouterr().err


def test_shards_of_several_kinds_are_not_mixed(settings, tmp_path):
    with pytest.raises(ValueError, match="no session of a shard"):
        gather([tmp_path])
    play(replace(settings, is_bare=True, shard="1/2"))
    play(replace(settings, is_bare=True, shard="2/2", n_trials=7))
    with pytest.raises(ValueError, match="2 different settings"):
        gather([settings.out])
    play(replace(settings, is_bare=True, session="t", shard="1/2"))
    with pytest.raises(ValueError, match="those of s, t; choose --session"):
        gather([settings.out])
    assert [record["image"] for record in gather([settings.out], "t").records] == ["a", "c", "e"]


def test_how_it_is_done_is_no_part_of_what_is_done(settings):
    for more in ({"figures": "best:3"}, {"is_bare": True}, {"n_workers": 2}, {"shard": "1/2"}, {"n_threads": 1}):
        assert replace(settings, **more).fingerprint() == settings.fingerprint()
        assert replace(settings, **more).numbers() == settings.numbers()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"figures": "some"}, "all, none or best:N"),
        ({"figures": "best:0"}, "all, none or best:N"),
        ({"shard": "0/3"}, "I/N with I from 1 to N"),
        ({"shard": "4/3"}, "I/N with I from 1 to N"),
        ({"n_workers": 0}, "at least 1"),
        ({"n_workers": 2, "controller": "memory"}, "leave --workers out"),
    ],
)
def test_what_cannot_be_is_said(more, words):
    with pytest.raises(ValueError, match=words):
        SessionSettings(**more)


def test_the_pace_is_told_once_there_is_one():
    assert pace(0, 3.0, unit="images") == ""
    assert pace(3, 2.0, unit="images") == "1.50 images/s"
    assert pace(1, 12.5, unit="images") == "0.08 images/s"


def test_drawing_the_best_searches_nothing(settings):
    PictureToy.n_asked = 0
    play(replace(settings, figures="best:2"))
    assert PictureToy.n_asked == len(NAMES) * 6
