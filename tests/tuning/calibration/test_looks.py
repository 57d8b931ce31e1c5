"""Choosing looks: the choice by hand, the races against a choice without races, and the file that is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ciliary.cortex.glance import GlancingPerceiver
from ciliary.cortex.integration.looks import Looks, edges_of
from ciliary.cortex.perceivers import make_perceiver
from ciliary.envs.metrics.regions import People
from ciliary.envs.objective.chosen_looks import ChosenLooks, shipped_files, shipped_looks
from ciliary.envs.objective.looks_objective import LooksObjective
from ciliary.envs.objective.make import make_objective, objective_mark
from ciliary.envs.objective.panel import draw_panel
from ciliary.tuning.calibration.looks import SeenCase, choose_looks
from ciliary_tests.labelled import write_labelled


def worth(table):
    """Scores of sets whose worth is how many things (columns) at least one of the looks (rows) sees, plus noise."""
    table = np.asarray(table, bool)

    def scores(cases, sets):
        noise = np.array([[((7 * case + 3 * sum(members)) % 11) / 1e4 for members in sets] for case in cases])
        return noise + [[table[list(members)].any(0).mean() for members in sets] for _ in cases]

    return scores


def test_each_look_is_the_one_that_adds_most():
    sees = [[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]]
    told = []
    choice = choose_looks(worth(sees), n_cases=10, n_candidates=5, n_looks=4, on_chosen=told.append)
    assert choice.order[:2] == (0, 2)  # look 2 sees three more things
    assert set(choice.order[2:]) == {1, 4}  # one more each; look 3 sees nothing that 2 does not
    assert choice.scores == pytest.approx([1 / 6, 4 / 6, 5 / 6, 1], abs=2e-3)
    assert [one.order for one in told] == [choice.order[:n] for n in (2, 3, 4)]


def test_races_choose_what_all_cases_would():
    table = np.random.default_rng(0).random((30, 40)) < 0.15
    raced = choose_looks(worth(table), n_cases=40, n_candidates=30, n_looks=6)
    whole = choose_looks(worth(table), n_cases=40, n_candidates=30, n_looks=6, races=())
    assert raced.order == whole.order


def test_asking_for_more_looks_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="n_looks from 1 to 5"):
        choose_looks(worth(np.eye(5)), n_cases=3, n_candidates=5, n_looks=6)


def test_a_case_keeps_what_scores_need():
    truth = (torch.arange(32) >= 16).long().repeat(24, 1)
    wrong = torch.zeros_like(truth)
    segments = torch.stack([wrong, truth, truth])[None]
    case = SeenCase.of(Looks(segments, edges_of(segments), torch.ones(1, 3)), People.of([truth.numpy()]))
    assert case.segments.nbytes == 3 * 12 * 16 * 2
    assert case.score([0]) == pytest.approx(0.5, abs=0.05)
    assert case.score([1, 2]) == pytest.approx(1, abs=0.1)  # borders lie at half the size
    assert case.score([0], "voi") == pytest.approx(-1, abs=0.01)  # one bit is not told


def test_the_file_gives_the_looks_back(tmp_path):
    seer = make_perceiver("glances:felzenszwalb")
    assert isinstance(seer, GlancingPerceiver)
    u = draw_panel(seer, 4)[:3]
    looks = ChosenLooks(u, seer.table.names, seer.name, {"n_images": 10})
    looks.save(tmp_path / "looks.json")
    back = ChosenLooks.load(tmp_path / "looks.json")
    np.testing.assert_allclose(back.u, u, atol=1e-6)
    assert (back.perceiver, back.parameters, back.about) == (seer.name, seer.table.names, {"n_images": 10})
    # a parameter that is no more is dropped, a new one has its default
    other = ChosenLooks(u[:, ::-1], (*seer.table.names[:0:-1], "gone"), seer.name)
    np.testing.assert_allclose(other.around(seer.table)[:, 1:], u[:, 1:], atol=1e-6)
    np.testing.assert_allclose(other.around(seer.table)[:, 0], seer.table.default_unit()[0, 0], atol=1e-6)


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "other"}', '{"kind": "looks", "u": [[9]], "parameters": ["x"]}'])
def test_what_is_no_file_of_looks_is_named(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ValueError, match=r"bad.json holds no looks"):
        ChosenLooks.load(tmp_path / "bad.json")


def test_the_objective_recommends_what_was_chosen(tmp_path):
    seer = make_perceiver("glances:felzenszwalb")
    drawn = draw_panel(seer, 32)
    ChosenLooks(drawn[[0, 9, 4]], seer.table.names, seer.name).save(tmp_path / "looks.json")
    objective = make_objective(str(tmp_path / "looks.json"), perceiver="felzenszwalb")
    assert isinstance(objective, LooksObjective)
    objective.check(seer)
    np.testing.assert_allclose(objective.starts, drawn[[0, 9, 4]], atol=1e-5)
    plain = make_objective("looks", perceiver="felzenszwalb")
    plain.check(seer)
    np.testing.assert_allclose(plain.starts, drawn)  # nobody chose
    # others' defaults: the looks move with them
    centre = drawn[7]
    moved = make_objective(str(tmp_path / "looks.json"), centre_u=centre)
    moved.check(seer)
    np.testing.assert_allclose(moved.starts[1], np.clip(drawn[9] + centre - drawn[0], -1, 1), atol=1e-5)


def test_marks_tell_files_of_looks_apart(tmp_path):
    for i, name in enumerate("ab"):
        ChosenLooks(np.full((1, 1), i / 2, np.float32), ("x",), "mine glances").save(tmp_path / f"{name}.json")
    marks = {objective_mark(str(tmp_path / f"{name}.json")) for name in "ab"} | {objective_mark("looks")}
    assert len(marks) == 3
    assert all(mark.startswith("looks ") for mark in marks)


@pytest.mark.parametrize("path", shipped_files(), ids=lambda path: path.stem)
def test_what_comes_along_is_of_the_perceiver_it_names(path):
    looks = ChosenLooks.load(path)
    assert looks.perceiver == f"{path.stem} glances"
    assert shipped_looks(looks.perceiver) is not None
    assert len(np.unique(looks.u, axis=0)) == len(looks.u) >= 3
    assert looks.about["n_images"] >= 50


@pytest.mark.slow
def test_from_labelled_images_to_looks_that_are_used(tmp_path, capsys):
    from ciliary_tests.loading import load_script

    cells = write_labelled(tmp_path / "cells", n_images=10)
    file, out = tmp_path / "new" / "looks.json", tmp_path / "out"
    asked = ["--labelled", str(cells), "--perceiver", "slic", "--looks", "3", "--size", "64", "--out", str(file)]
    assert load_script("calibrate").main(asked) == 0
    assert "3 looks of slic glances. Written to" in capsys.readouterr().out
    about = json.loads(file.read_text())["about"]
    assert (about["n_images"], about["n_cases"], about["chosen"][0], about["data"]) == (10, 20, 0, "cells")
    # a broken image is named, and the rest goes on; ten that can be seen are too few less one
    (cells / "images" / "im3.png").write_bytes(b"no image")
    assert load_script("calibrate").main([*asked[:-1], str(tmp_path / "other.json")]) == 1
    said = capsys.readouterr().err
    assert said.count("calibrate: im3 ") == 2
    assert "at least 20 cases to choose looks on, 18 could be seen" in said
    assert not (tmp_path / "other.json").exists()
    (tmp_path / "blocked").write_text("")
    assert load_script("calibrate").main([*asked[:-1], str(tmp_path / "blocked" / "looks.json")]) == 1
    assert "cannot write into" in capsys.readouterr().err
    how = ["--perceiver", "slic", "--objective", str(file), "--trials", "3", "--size", "64", "--quiet"]
    assert load_script("accommodate").main([str(cells / "images" / "im4.png"), *how, "--out", str(out)]) == 0
    (line,) = next(out.glob("*/episodes.jsonl")).read_text().splitlines()
    assert json.loads(line)["image"] == "im4"


def test_a_calibration_is_of_the_cortex(capsys):
    from ciliary_tests.loading import load_script

    assert load_script("calibrate").main(["--labelled", "x", "--perceiver", "slic"]) == 2
    assert "give --looks N" in capsys.readouterr().err
