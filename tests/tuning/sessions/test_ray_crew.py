"""Who is given what, who is lost and what is done again: on a cluster that is only pretended, so that all is quick."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions import ray_cluster, ray_crew, ray_worker
from ciliary.tuning.sessions.accommodate import run
from ciliary.tuning.sessions.made import Made
from ciliary.tuning.sessions.ray_worker import Delivery
from ciliary.tuning.sessions.session import run_session
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Cut
from ciliary_tests.fake_ray import FakeRay
from ciliary_tests.worlds import PictureToy, Recorder, inputs_of, make_toy

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def settings(settings) -> SessionSettings:
    return replace(settings, engine="ray", n_workers=2, device="cpu")


@pytest.fixture
def play(settings, monkeypatch):
    def played(ray, names=NAMES, *, display=None, **more):
        monkeypatch.setattr(ray_crew, "import_ray", lambda: ray)
        for name in (
            "use_threads",
            "flush_denormals",
            "keep_memory",
        ):  # of a process of the worker's own, which this is not
            monkeypatch.setattr(ray_worker, name, lambda *arguments: None)
        asked = replace(settings, **{"is_bare": True, **more})
        return run_session(asked, inputs_of(*names), make_env=make_toy, display=display or Recorder())

    return played


def lines(found):
    return Counter(record["image"] for record in records.read(found.folder / records.FILE) if "history" in record)


def does(name):
    """Whether a call is the playing of the image of this name."""
    return lambda i, method, arguments: method == "do" and arguments[0].key.image == name


def numbers(found):
    return [(r["key"], r["history"], r["before"], r["after"], r["guard"], r["parameters"]) for r in found.records]


@pytest.mark.slow
def test_episodes_are_those_of_one_process_and_lie_where_theirs_lie(play, settings, tmp_path):
    places = {"figures": "all", "is_bare": False}
    alone = play(None, session="alone", engine="local", n_workers=1, save=tmp_path / "maps", **places)
    found = play(FakeRay(), save=tmp_path / "maps-2", **places)
    assert (found.exit_code, found.problems) == (0, [])
    assert numbers(found) == numbers(alone)
    for one, other in zip(found.records, alone.records, strict=True):
        assert one["files"].keys() == other["files"].keys() >= {"figure", "labels", "boundary", "json"}
        for role, path in one["files"].items():
            theirs = other["files"][role].replace("/alone/", "/s/").replace("/maps/", "/maps-2/")
            assert path == theirs
            if role in ("labels", "boundary"):
                assert Path(path).read_bytes() == Path(other["files"][role]).read_bytes()
    assert [*lines(found).values()] == [1] * len(NAMES)


def test_an_episode_whose_worker_died_is_done_again_and_stands_once(play):
    died = []

    def once(i, method, arguments):
        is_it = does("b")(i, method, arguments) and not died
        died.extend([i] if is_it else [])
        return is_it

    said = Recorder()
    ray = FakeRay(once)
    found = play(ray, display=said)
    assert found.exit_code == 0
    assert [record["image"] for record in found.records] == [*NAMES]
    assert [*lines(found).values()] == [1] * len(NAMES)
    assert said.problems == ["b.png: its worker died; done again, 2 of 3"]
    assert len(ray.actors) == 3  # one in its place
    assert sorted(ray.killed) == [0, 1, 2]


def test_an_episode_that_kills_every_worker_fails_and_the_others_are_done(play):
    ray = FakeRay(does("b"))
    found = play(ray)
    assert found.exit_code == 3
    assert found.problems == ["b.png: RuntimeError: its worker died 3 times (often: out of memory)"]
    assert [record["image"] for record in found.records] == ["a", "c", "d"]
    (failed,) = (r for r in records.read(found.folder / records.FILE) if r["status"] == "FAILED")
    assert failed["image"] == "b"


def test_workers_that_cannot_begin_are_said_in_one_line(play):
    with pytest.raises(ray_cluster.EngineError, match=r"a worker cannot begin: RayActorError: actor 3 died"):
        play(FakeRay(lambda i, method, arguments: method == "begin"))


def test_with_workers_that_began_it_goes_on(play):
    said = Recorder()
    ray = FakeRay(lambda i, method, arguments: method == "begin" and i > 0)
    found = play(ray, display=said)
    assert [record["image"] for record in found.records] == [*NAMES]
    assert all("cannot begin" in line for line in said.problems)


def test_when_the_last_worker_is_gone_what_is_done_stays(play):
    ray = FakeRay(lambda i, m, arguments: (m == "begin" and i > 1) or (m == "do" and arguments[0].key.image > "b"))
    found = play(ray)
    assert found.exit_code == 3
    assert [record["image"] for record in found.records] == ["a", "b"]
    assert "cannot begin" in found.problems[-1]
    again = play(FakeRay())
    assert (again.exit_code, again.name, again.n_before) == (0, "s", 2)
    assert [*lines(again).values()] == [1] * len(NAMES)


def test_a_machine_with_other_code_or_files_is_no_worker(play, monkeypatch):
    monkeypatch.setattr(ray_worker, "mark", lambda settings: "other")
    with pytest.raises(ray_cluster.EngineError, match="another version of Ciliary"):
        play(FakeRay())


def test_a_bench_that_cannot_be_built_is_said(play, monkeypatch):
    monkeypatch.setattr("ciliary_tests.worlds.PictureToy.__init__", lambda self: 1 / 0)
    with pytest.raises(ray_cluster.EngineError, match="ZeroDivisionError"):
        play(FakeRay())


def test_a_stop_cuts_and_the_session_goes_on(play):
    class Stopping(Recorder):
        def done(self, *, was_done_before):
            os.kill(os.getpid(), signal.SIGINT)

    first = play(FakeRay(), display=Stopping())
    assert (first.is_stopped, first.exit_code, len(first.records)) == (True, 130, 1)
    again = play(FakeRay())
    assert (again.exit_code, again.name, again.n_before) == (0, "s", 1)
    assert [*lines(again).values()] == [1] * len(NAMES)


def test_a_broken_image_costs_no_worker(play, monkeypatch):
    monkeypatch.setattr(PictureToy, "broken", frozenset("c"))
    ray = FakeRay()
    found = play(ray)
    assert found.problems == ["c.png: RuntimeError: this picture breaks the world"]
    assert (found.exit_code, len(ray.actors)) == (3, 2)


@pytest.mark.parametrize(("device", "n_gpus", "n", "asked"), [("auto", 3, 3, 1), ("cpu", 3, 2, 0), ("auto", 0, 2, 0)])
def test_a_worker_to_a_gpu_where_there_are_gpus(play, device, n_gpus, n, asked):
    ray = FakeRay(resources={"CPU": 8.0, "GPU": float(n_gpus)})
    play(ray, device=device, n_threads=2)
    assert [(asks["num_gpus"], asks["num_cpus"]) for asks in ray.asked] == [(asked, 2)] * n


def test_the_best_are_drawn_by_workers_too(play, settings):
    found = play(FakeRay(), figures="best:2", is_bare=False)
    assert found.problems == []
    assert len(list((found.folder / "figures").glob("*.png"))) == 2
    assert [*lines(found).values()] == [1] * len(NAMES)


def test_a_delivery_lies_where_the_session_has_it(tmp_path):
    record = {"files": {"figure": "/w/session/figures/a.png", "json": "/w/save/a.json"}}
    figures = {"figure": Path("/w/session/figures/a.png")}
    made = Made(record, {}, figures, {}, ())
    sent = Delivery(made, {"save/a.json": b"{}", "session/figures/a.png": b"p"}, "/w")
    places = {"session": tmp_path / "s", "save": tmp_path / "m"}
    got = sent.unpack(places)
    assert got.record["files"] == {"figure": f"{tmp_path}/s/figures/a.png", "json": f"{tmp_path}/m/a.json"}
    assert got.figures["figure"].read_bytes() == b"p"
    assert (tmp_path / "m" / "a.json").read_bytes() == b"{}"
    assert isinstance(Delivery(Cut(), {}, "/w").unpack(places), Cut)


def test_without_ray_it_is_said_how_to_get_it(monkeypatch, out, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(["chelsea"], controller="random", n_trials=2, size_px=48, engine="ray", out=out, quiet=True) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("accommodate: --engine ray needs Ray")
    assert re.search(r"-m pip install .*\[ray\]'$", line)


def test_a_cluster_that_is_not_there_is_said_in_seconds(monkeypatch):
    class Nowhere:
        def is_initialized(self):
            return False

    with pytest.raises(ray_cluster.EngineError, match=r"no Ray cluster at 127.0.0.1:1 \("):
        ray_cluster.Membership(Nowhere(), "127.0.0.1:1", n_cpus=1, check=lambda: None)


def test_what_ray_says_when_it_cannot_join_is_one_line():
    class Refusing:
        def is_initialized(self):
            return False

        def init(self, **options):
            raise ConnectionError("no instance\nmany\nmore lines")

    with pytest.raises(ray_cluster.EngineError) as told:
        ray_cluster.Membership(Refusing(), "auto", n_cpus=1, check=lambda: None)
    assert str(told.value) == "cannot join the Ray cluster at auto: no instance"


def test_a_cluster_that_does_not_answer_can_be_stopped_and_has_an_end(monkeypatch):
    class Silent:
        def is_initialized(self):
            return False

        def init(self, **options):
            ray_cluster.threading.Event().wait(5)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ray_cluster.Membership(Silent(), "auto", n_cpus=1, check=stop)
    monkeypatch.setattr(ray_cluster, "_START_S", 0.1)
    with pytest.raises(ray_cluster.EngineError, match="no answer"):
        ray_cluster.Membership(Silent(), "auto", n_cpus=1, check=lambda: None)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"address": "auto"}, "add --engine ray"),
        ({"engine": "ray", "controller": "memory"}, "leave --engine out"),
        ({"engine": "ray", "address": "ray://head:10001"}, "HOST:PORT or auto"),
        ({"engine": "dask"}, "choose from local, ray"),
    ],
)
def test_what_cannot_be_is_said(more, words):
    with pytest.raises(ValueError, match=words):
        SessionSettings(**more)


def test_who_does_it_is_no_part_of_what_is_done(settings):
    assert replace(settings, engine="local").fingerprint() == settings.fingerprint()
    assert replace(settings, address="auto").as_params() == replace(settings, engine="local").as_params()
