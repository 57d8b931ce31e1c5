"""The command ``spikes``: figures of photographs, a table of labelled ones, and what went wrong."""

from __future__ import annotations

import csv

import pytest
from PIL import Image

from ciliary.tuning.cli.app import main
from ciliary.tuning.spikes import job
from ciliary_tests.labelled import write_labelled

QUICK = ["--inherited", "none", "--size", "64", "--times", "10,20", "--quiet"]


def test_a_figure_of_each_photograph_and_the_broken_one_named(tmp_path, capsys):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    code = main(["spikes", "coffee", str(broken), "--out", str(tmp_path / "out"), *QUICK])
    assert code == 3
    assert "broken.jpg" in capsys.readouterr().err
    with Image.open(tmp_path / "out" / "coffee.png") as picture:
        assert picture.width > 600


def test_a_table_between_one_region_and_no_spikes(tmp_path):
    data = write_labelled(tmp_path / "data")
    codes = ["--codes", "latency,rate,poisson"]
    assert main(["spikes", "--labelled", str(data), "--out", str(tmp_path / "out"), *codes, *QUICK]) == 0
    with (tmp_path / "out" / "spikes.csv").open() as file:
        rows = {(row["told_by"], row["after_ms"]): row for row in csv.DictReader(file)}
    assert [key[0] for key in rows] == [
        "one region",
        *2 * ["latency"],
        *2 * ["rate"],
        *2 * ["poisson"],
        "without spikes",
    ]
    assert all(0 < float(row["covering"]) <= 1 for row in rows.values())
    for code in ("latency", "rate", "poisson"):
        early, late = (float(rows[code, ms]["v1_kspikes"]) for ms in ("10.0", "20.0"))
        assert 0 < early <= late
    assert float(rows["latency", "20.0"]["v1_kspikes"]) < float(rows["rate", "20.0"]["v1_kspikes"])
    assert float(rows["latency", "20.0"]["energy_uJ"]) < float(rows["rate", "20.0"]["energy_uJ"])
    assert (tmp_path / "out" / "spikes.png").stat().st_size > 10_000


def test_the_retina_has_a_column_of_its_own(tmp_path):
    data, out = write_labelled(tmp_path / "data"), tmp_path / "out"
    quick = ["--inherited", "none", "--size", "48", "--times", "5", "--quiet"]
    assert main(["spikes", "--labelled", str(data), "--retina", "--out", str(out), *quick]) == 0
    with (out / "spikes.csv").open() as file:
        rows = {row["told_by"]: row for row in csv.DictReader(file)}
    assert float(rows["latency"]["retina_kspikes"]) > 0
    assert not rows["without spikes"]["retina_kspikes"]


def test_izhikevichs_neurons_tell_it_too(tmp_path):
    asked = ["coffee", "--neuron", "regular_spiking", "--out", str(tmp_path)]
    assert main(["spikes", *asked, *QUICK]) == 0
    assert (tmp_path / "coffee.png").is_file()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["coffee", "--labelled", "x"], "not both"),
        (["--times", "20,10"], "must rise"),
        (["--codes", "phase"], "latency"),
        (["--tau-ms", "0"], "above 0"),
        (["--neuron", "fast_spiking", "--reset", "soft"], "leave it out"),
    ],
)
def test_wrong_usage_is_one_line(wrong, words, capsys):
    assert main(["spikes", *wrong]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_what_was_looked_at_before_a_stop_is_told(tmp_path, monkeypatch, capsys):
    data, seen, real = write_labelled(tmp_path / "data", n_images=3), [], job.sit

    def stopped_at_the_third(image, *more):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(image.name)
        return real(image, *more)

    monkeypatch.setattr(job, "sit", stopped_at_the_third)
    assert main(["spikes", "--labelled", str(data), "--out", str(tmp_path / "out"), *QUICK]) == 130
    assert "stopped after 2 of 3" in capsys.readouterr().err
    assert "2 photographs" in (tmp_path / "out" / "spikes.md").read_text()


def test_a_folder_without_labels_is_told(tmp_path, capsys):
    assert main(["spikes", "--labelled", str(tmp_path), *QUICK]) == 1
    assert str(tmp_path) in capsys.readouterr().err
