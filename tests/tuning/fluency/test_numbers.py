"""The table of numbers: signs, ranges, and the page that documents them."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.envs.data.sources import bundled
from ciliary.tuning.cli.app import main
from ciliary.tuning.fluency.exam import Sat, summary
from ciliary.tuning.fluency.measure import OF_BLANK, Measured, Meter, at_size
from ciliary.tuning.fluency.numbers import BY_NAME, NUMBERS, table
from ciliary.tuning.fluency.settings import recognising
from ciliary.tuning.fluency.typicality import reference_of
from ciliary.tuning.sessions.make_env import make_env
from ciliary.tuning.sessions.session import make_bench
from ciliary.tuning.sessions.settings import SessionSettings
from ciliary.tuning.sessions.task import Task
from ciliary.tuning.sessions.tracking import episode_metrics

PAGE = Path(__file__).parents[3] / "docs" / "fluency.md"


@pytest.fixture(scope="module")
def meter():
    cortex = Cortex(**recognising({"inherited": "none"})).eval().requires_grad_(False)
    usual = reference_of("cortex")
    small = replace(usual, about={**usual.about, "size_px": 48})  # as if it had been fitted on small photographs
    return Meter(cortex, small, n_scrambles=2, n_directions=1, with_spikes=True)


@pytest.fixture(scope="module")
def image():
    return bundled(48, ["coffee"])[0].image


def test_errors_and_sharpness_are_signs_of_less_fluency():
    """Less error and a flatter optimum are more fluent: the expected correlations are negative."""
    less = {"energy_error_m3", "energy_error_m4", "sharpness", "surprise", "active_m1", "attention", "spikes"}
    assert {BY_NAME[name].sign for name in less} == {-1}
    assert {BY_NAME[name].sign for name in ("gini_m1", "gini_m1_z", "ssim_m3", "ssim_m4")} == {1}


def test_the_page_has_every_number_with_its_sign():
    assert table() in PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found(meter, image):
    return meter.measure(image)


def test_all_are_measured_and_in_range(found, image):
    assert list(found.numbers) == [number.name for number in NUMBERS]
    for name, value in found.numbers.items():
        if not math.isnan(value):
            assert BY_NAME[name].low - 1e-6 <= value <= BY_NAME[name].high + 1e-6, name
    assert {"stability", "consistency", "collapse", "total", "disagreement"} <= found.objective.keys()
    assert found.painted["m4"].shape == image.shape


def test_a_blank_image_is_not_fluent(meter):
    found = meter.measure(torch.full((3, 32, 48), 0.5))
    assert found.is_blank
    assert all(math.isnan(value) for name, value in found.numbers.items() if name not in OF_BLANK)
    assert found.numbers["surprise"] > 2


def test_the_same_image_has_the_same_numbers(meter, image, found):
    assert meter.measure(image).numbers == pytest.approx(found.numbers, nan_ok=True)


def test_sizes():
    image = torch.rand(3, 100, 200)
    assert at_size(image, 200) is image
    assert at_size(image, 400) is None
    assert at_size(image, 50).shape == (3, 25, 50)


def test_a_table_a_page_and_a_figure(tmp_path, capsys):
    told = ["fluency", "coffee", "no such", "--inherited", "none", "--size", "48", "--scrambles", "2"]
    assert main([*told, "--directions", "1", "--out", str(tmp_path), "--quiet"]) == 3
    assert "no such" in capsys.readouterr().err
    with (tmp_path / "fluency.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "coffee"
    assert 0 < float(row["gini_m1"]) < 1
    assert "objective_stability" in row
    assert (tmp_path / "coffee.png").stat().st_size > 10_000
    assert "| gini_m1 | more |" in (tmp_path / "fluency.md").read_text(encoding="utf-8")


def measured(value: float, null: float = 0.3) -> Measured:
    numbers = {"gini_m1": value, "gini_m1_z": 10 * value, "ssim_m3": value, "energy_error_m3": float("nan")}
    return Measured(numbers, {"gini_m1": null, "ssim_blank": 0.2}, {}, {}, torch.zeros(3, 4, 4))


def test_worth_by_hand():
    """In noise the order stays, at another size it is turned round."""
    sat = [Sat(measured(x), measured(1 - x), measured(x + 0.1)) for x in (0.1, 0.2, 0.3, 0.4, 0.5)]
    rows = {row.number: row for row in summary(sat)}
    gini = rows["gini_m1"]
    assert (gini.at_another_size.mean, gini.in_noise.mean) == (-1, 1)
    assert (gini.null, gini.median, gini.undefined) == (pytest.approx(0.3), pytest.approx(0.3), 0)
    assert (rows["gini_m1_z"].null, rows["ssim_m3"].null, rows["energy_error_m3"].null) == (0, pytest.approx(0.2), 1)
    assert (rows["energy_error_m3"].undefined, rows["energy_error_m3"].in_noise) == (5, None)


@pytest.mark.slow
def test_of_what_the_numbers_are_worth(tmp_path):
    told = ["fluency", "coffee", "chelsea", "rocket", "--exam", "--inherited", "none", "--size", "72"]
    assert main([*told, "--scrambles", "2", "--directions", "1", "--out", str(tmp_path), "--quiet"]) == 0
    with (tmp_path / "exam.csv").open(encoding="utf-8") as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    assert float(rows["energy_error_m4"]["null"]) == 1
    assert -1 <= float(rows["gini_m1"]["in_noise"]) <= 1
    assert (tmp_path / "exam.png").is_file()
    assert len((tmp_path / "fluency.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_what_is_usual_is_learned(tmp_path, capsys):
    path = tmp_path / "usual.safetensors"
    told = ["train", "typicality", "bundled", "--size", "32", "--inherited", "none", "--out", str(path)]
    assert main(told) == 1  # eight photographs are too few
    assert "20 photographs" in capsys.readouterr().err


def test_an_episode_s_record_has_them_if_asked(tmp_path):
    what = {"answer": "best", "controller": "random", "objective": "raw", "inherited": "none"}
    settings = SessionSettings(n_trials=2, size_px=40, has_fluency=True, out=tmp_path, **what)
    (photograph,) = bundled(40, ["coffee"])
    bench, kept = make_bench(settings, tmp_path, make_env=make_env), []
    task = Task("coffee", photograph, settings.key("coffee", "f", "none"), "coffee", is_drawn=False)
    made = bench.make(task, lambda progress: None, kept.append)
    (record,) = kept
    assert set(record["fluency"]) == {"before", "after"}
    assert 0 < record["fluency"]["before"]["gini_m1"] < 1
    logged = {metric[0]: metric[1] for metric in episode_metrics(made.record)}
    assert logged["fluency_before/gini_m1"] == record["fluency"]["before"]["gini_m1"]
    assert "fluency/ssim_m4" in logged


def test_another_perceiver_has_no_stages(tmp_path):
    with pytest.raises(ValueError, match="--fluency"):
        SessionSettings(perceiver="slic", has_fluency=True, out=tmp_path)
