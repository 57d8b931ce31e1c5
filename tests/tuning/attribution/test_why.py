"""``ciliary why`` on what small sessions left on disk."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from ciliary.agents.looking import Looking
from ciliary.envs.data.images import open_images
from ciliary.tuning.cli.app import main
from ciliary.tuning.runs import record as records
from ciliary.tuning.sessions.inputs import mark_of
from ciliary.tuning.sessions.make_env import make_controller, make_env
from ciliary.tuning.sessions.playing import play
from ciliary.tuning.sessions.settings import SessionSettings


def play_one(folder, **more):
    """An episode as a session leaves it, but for its runs and figures."""
    settings = SessionSettings(inherited="none", size_px=40, out=folder.parent, use_guard=False, **more)
    env, (photograph,) = make_env(settings), open_images("coffee", 40)
    looking = Looking() if settings.is_integrated else None
    played = play(
        env, make_controller(settings), photograph, "none", seed=0, n_trials=settings.n_trials, guard=None,
        with_before=False, looking=looking,
    )  # fmt: skip
    key = settings.key("coffee", mark_of(photograph), "none")
    record = records.build(key, played.trace, photograph, seen_with=settings.seen_with)
    if not settings.is_integrated:  # as if the first trial had been applied, better or not: something moved
        record |= {"i_chosen": 1, "after": {"total": record["history"]["total"][1]}}
    records.append(folder / records.FILE, record)
    return folder


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why") / "s"
    return play_one(folder, answer="best", controller="random", objective="agreement", n_trials=2)


@pytest.fixture(scope="module")
def told(session):
    assert main(["why", str(session.parent), "--evaluations", "8", "--quiet"]) == 0
    with (session / "why" / "why.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def record_of(session):
    return json.loads((session / "episodes.jsonl").read_text(encoding="utf-8").splitlines()[-1])


def test_shares_sum_to_what_the_record_says_was_gained(session, told):
    record = record_of(session)
    gain = record["before"]["total"] - record["after"]["total"]
    assert gain != 0
    assert sum(float(row["share"]) for row in told) == pytest.approx(gain, abs=1e-4)
    assert len({row["player"] for row in told}) == len(told)


def test_players_are_the_parameters_that_moved(session, told):
    record = record_of(session)
    u = np.array(record["history"]["u"])
    moved = np.abs(u[record["i_chosen"]] - u[0]) > 1e-3
    names = [name for name, is_moved in zip(record["parameters"], moved, strict=True) if is_moved]
    assert {row["player"] for row in told} == set(names) - set(record["frozen"])


def test_figure_and_page(session, told):
    assert (session / "why" / "coffee__none.png").stat().st_size > 10_000
    page = (session / "why" / "why.md").read_text(encoding="utf-8")
    assert told[0]["player"] in page
    assert "Spearman" in page


def test_nothing_is_tracked_or_recorded(session, told):
    assert len((session / "episodes.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def changed(session, folder, change):
    record = record_of(session)
    change(record)
    folder.mkdir()
    (folder / "episodes.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return str(folder)


def test_an_older_record_says_what_to_do(session, tmp_path, capsys):
    folder = changed(session, tmp_path / "s", lambda record: record.pop("seen_with"))
    assert main(["why", folder]) == 1
    assert "accommodate again" in capsys.readouterr().err


def test_another_total_is_not_explained(session, tmp_path, capsys):
    folder = changed(session, tmp_path / "s", lambda record: record["before"].update(total=0.9))
    assert main(["why", folder]) == 1
    assert "0.9 before" in capsys.readouterr().err


def test_defaults_kept_is_no_failure(session, tmp_path, capsys):
    folder = changed(session, tmp_path / "s", lambda record: record.update(i_chosen=0, after=record["before"]))
    assert main(["why", folder]) == 0
    assert "defaults were kept" in capsys.readouterr().err


def test_looks_are_the_players_of_an_integrated_answer(tmp_path):
    folder = play_one(tmp_path / "s", n_trials=4)
    assert main(["why", str(folder), "--quiet"]) == 0
    with (folder / "why" / "why.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["player"] for row in rows} == {"look 1", "look 2", "look 3"}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(float(rows[0]["gain"]), abs=1e-9)


def test_no_session_is_wrong_usage(tmp_path, capsys):
    assert main(["why", str(tmp_path)]) == 2
    assert "expected a session" in capsys.readouterr().err
