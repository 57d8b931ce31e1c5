"""Thresholds of spikes: the best of the settings heard is written, beside those of the other cortices."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ciliary.cortex.spiking import SHIPPED, thresholds_of
from ciliary.tuning.cli.app import main
from ciliary.tuning.spikes import train_job
from ciliary.tuning.spikes.fit import Heard, candidates, chosen, compare
from ciliary_tests.labelled import write_labelled


def test_24_settings_each_once():
    settings = [tuple(one[name][key] for name in one for key in one[name]) for one in candidates()]
    assert len(settings) == len(set(settings)) == 24


def test_the_best_mean_first_and_of_equals_the_fewest_spikes():
    among = candidates()[:3]
    heard = [
        Heard(np.array([0.5, 0.6, 0.6]), np.array([[10, 1], [30, 3], [20, 2]]), 0.7),
        Heard(np.array([0.3, 0.8, 0.8]), np.array([[12, 1], [34, 3], [24, 2]]), 0.9),
    ]
    first, second, third = compare(heard, among)
    assert [one.thresholds for one in (first, second, third)] == [among[2], among[1], among[0]]
    assert first.covering.mean == pytest.approx(0.7)
    assert first.less_first.mean == pytest.approx(0.3)
    assert first.less_without_spikes.mean == pytest.approx(-0.1)
    assert (first.v1_kspikes, first.m2_kspikes) == (22, 2)
    assert third.less_first is None
    assert chosen([first, second, third]) is first
    assert chosen([third, first]) is third


def test_what_may_be_chance_is_not_chosen():
    heard = [Heard(np.array([0.5, 0.5 + gain]), np.ones((2, 2)), 0.5) for gain in (0.3, -0.1, -0.1, 0.2, -0.2)]
    found = compare(heard, candidates()[:2])
    assert found[0].less_first.mean > 0
    assert chosen(found).thresholds == candidates()[0]


def test_the_command_writes_what_spikes_reads(tmp_path, monkeypatch, capsys):
    among = candidates()[::13]
    monkeypatch.setattr(train_job, "candidates", lambda: among)
    data, out = write_labelled(tmp_path / "data"), tmp_path / "own" / "thresholds.json"
    broken = min((data / "images").iterdir())
    broken.write_bytes(broken.read_bytes()[:200])
    asked = ["--labelled", str(data), "--inherited", "none", "--size", "48", "--images", "2", "--times", "5"]
    assert main(["train", "spikes", *asked, "--out", str(out), "--quiet"]) == 3
    assert broken.stem in capsys.readouterr().err
    assert thresholds_of("cortex", out) in among
    kept = json.loads(out.read_text())
    assert kept["cortex-contours"] == json.loads(SHIPPED.read_text())["cortex-contours"]
    assert kept["cortex"]["about"]["size_px"] == 48
    assert len([line for line in out.with_suffix(".md").read_text().splitlines() if line.startswith("| 0.")]) == 2
    look = ["spikes", "coffee", "--inherited", "none", "--size", "48", "--times", "5", "--quiet"]
    assert main([*look, "--thresholds", str(out), "--out", str(tmp_path)]) == 0
    assert main([*look, "--thresholds", str(out.with_suffix(".md")), "--out", str(tmp_path)]) == 2
    assert "no file of thresholds" in capsys.readouterr().err


def test_nothing_to_choose_on(tmp_path, capsys):
    assert main(["train", "spikes", "--labelled", str(tmp_path), "--inherited", "none", "--quiet"]) == 1
    assert "train_spikes" in capsys.readouterr().err
