"""``ciliary correlate`` on small tables, and ratings that people's doings make."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from ciliary.envs.data.gaze import Fixations, GazedImage
from ciliary.envs.data.labelled import LabelledImage
from ciliary.tuning.cli.app import main
from ciliary.tuning.correlation import job
from ciliary.tuning.correlation.ratings import gaze_spread, people_agree, read_ratings
from ciliary.tuning.correlation.tables import joined, read_numbers, usable
from ciliary.tuning.fluency.job import Row

N = 24


def write(path, head, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def tables(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 3))
    names = [f"im{i}" for i in range(N)]
    numbers = write(
        tmp_path / "numbers.csv", ["image", "a", "b", "same"], [[n, *v[:2], 1] for n, v in zip(names, x, strict=True)]
    )
    liked = [[f"photos/{n}.jpg", 2 * v[0] - v[1]] for n, v in zip(names, x, strict=True)]
    return numbers, write(tmp_path / "ratings.csv", ["image", "liked"], liked)


def asked(numbers, ratings, out, *more):
    told = ["correlate", "--numbers", str(numbers), "--ratings", str(ratings), "--permutations", "20"]
    return main([*told, "--out", str(out), "--quiet", *more])


def test_a_known_function_is_found(tables, tmp_path):
    assert asked(*tables, tmp_path / "out") == 0
    with (tmp_path / "out" / "correlate.csv").open(encoding="utf-8") as file:
        rows = {row["number"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"a", "b"}  # "same" does not vary
    assert float(rows["a"]["spearman"]) > 0.7
    assert float(rows["a"]["p_corrected"]) >= float(rows["a"]["p"])
    with (tmp_path / "out" / "together.csv").open(encoding="utf-8") as file:
        (together,) = csv.DictReader(file)
    assert float(together["r2"]) > 0.95
    page = (tmp_path / "out" / "correlate.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "http://" not in page
    assert "https://" not in page


def test_images_without_numbers_are_named(tables, tmp_path, capsys):
    numbers, ratings = tables
    with ratings.open("a", encoding="utf-8") as file:
        file.write("elsewhere.jpg,1.0\n")
    assert asked(numbers, ratings, tmp_path / "out") == 3
    assert "elsewhere.jpg: rated, but it has no numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[f"im{i}", 3] for i in range(N)], "the same for all images"),
        ([[f"im{i}", i] for i in range(5)], "expected 10 images or more"),
        ([[f"im{i}", "good"] for i in range(N)], "expected a column of numbers"),
    ],
)
def test_what_is_refused(tables, tmp_path, capsys, rows, words):
    ratings = write(tmp_path / "wrong.csv", ["image", "liked"], rows)
    assert asked(tables[0], ratings, tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_ratings_are_needed(tmp_path, capsys):
    assert main(["correlate", "--out", str(tmp_path)]) == 2
    assert main(["correlate", "--ratings", str(tmp_path / "none.csv"), "--out", str(tmp_path)]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_names_on_the_page_are_escaped(tables, tmp_path):
    numbers, ratings = tables
    text = ratings.read_text(encoding="utf-8").replace("liked", "<b>liked</b>")
    ratings.write_text(text, encoding="utf-8")
    assert asked(numbers, ratings, tmp_path / "out") == 0
    assert "<b>liked" not in (tmp_path / "out" / "correlate.html").read_text(encoding="utf-8")


def test_several_rows_of_an_image_are_averaged_and_words_passed_over(tmp_path):
    path = write(tmp_path / "t.csv", ["who", "image", "liked"], [["ann", "a", 1], ["bob", "a", 3], ["ann", "b", ""]])
    found = read_numbers(path)
    assert (found.images, found.columns) == (("a", "b"), ("liked",))
    np.testing.assert_array_equal(found.values, [[2], [np.nan]])
    assert "who" in found.notes[0]
    assert "averaged" in found.notes[1]


def test_names_agree_without_folder_and_extension(tmp_path):
    ratings = read_numbers(write(tmp_path / "r.csv", ["image", "y"], [["x/a.jpg", 1], ["b", 2], ["c", 3]]))
    numbers = read_numbers(write(tmp_path / "n.csv", ["image", "k"], [["b", 5], ["a", 6]]))
    assert joined(ratings, numbers) == ([0, 1], [1, 0], ["c"])


def test_columns_that_say_nothing_are_left_out(tmp_path):
    rows = [[f"i{i}", i, 1, i if i < 5 else ""] for i in range(10)]
    numbers = read_numbers(write(tmp_path / "n.csv", ["image", "good", "same", "holed"], rows))
    values, names, left = usable(numbers, range(10))
    assert (names, left, values.shape) == (["good"], ["same", "holed"], (10, 1))


def test_numbers_are_measured_where_there_is_no_table(tmp_path, monkeypatch):
    """Of the images beside the table, by what `ciliary fluency` measures them with."""
    asked_for = []

    def measure_all(settings, problems):
        asked_for.append((settings.images, settings.size_px))
        return [Row(f"im{i}", "", {"gini_m1": float(i % 7)}) for i in range(12)]

    monkeypatch.setattr(job, "measure_all", measure_all)
    (tmp_path / "im0.png").touch()
    ratings = write(tmp_path / "r.csv", ["image", "y"], [[f"im{i}.png", i] for i in range(12)])
    told = ["correlate", "--ratings", str(ratings), "--size", "64", "--permutations", "20", "--quiet"]
    assert main([*told, "--out", str(tmp_path / "out")]) == 0
    ((images, size_px),) = asked_for
    assert (images[0], images[1], size_px) == (str(tmp_path / "im0.png"), "im1.png", 64)
    assert "gini_m1" in (tmp_path / "out" / "correlate.csv").read_text(encoding="utf-8")


def test_people_who_drew_alike_agree_wholly():
    one = np.zeros((8, 8), np.int32)
    one[:, 4:] = 1
    other = np.zeros((8, 8), np.int32)
    edges = tuple(np.zeros((8, 8), bool) for _ in range(2))
    image = torch.zeros(3, 8, 8)
    alike = people_agree(LabelledImage("a", None, image, (one, one), edges))
    assert alike == {"people_covering": 1.0, "people_regions": 2.0}
    apart = people_agree(LabelledImage("a", None, image, (one, other), edges))
    assert apart["people_covering"] == pytest.approx(0.5)  # either covers half of the other


def test_who_looks_everywhere_has_more_entropy(tmp_path):
    def spread(y, x):
        n = len(y)
        zeros = np.zeros(n)
        fixations = Fixations(zeros.astype(int), np.arange(n), np.array(y, float), np.array(x, float), zeros)
        return gaze_spread(GazedImage("a", tmp_path, torch.zeros(3, 480, 640), fixations))["gaze_entropy"]

    place, everywhere = spread([240] * 4, [320] * 4), spread([100, 100, 380, 380], [100, 540, 100, 540])
    assert everywhere == pytest.approx(place + 2, abs=0.1)  # four places, far apart, in place of one: two bits


def test_a_folder_that_is_none_of_these(tmp_path):
    with pytest.raises(ValueError, match="groundTruth"):
        read_ratings(tmp_path)
