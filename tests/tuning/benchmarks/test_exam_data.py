"""Readers of named images: what is read, how large, how many, and what is said of another layout."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from ciliary.tuning.benchmarks.data import ReadSettings, read_named
from ciliary.tuning.benchmarks.pictures import Pictures, evenly, squared
from ciliary_tests.shapes import CLASSES, write_folders, write_npz, write_runs


def test_an_npz(tmp_path):
    named = read_named(write_npz(tmp_path / "small.npz", side_px=32))
    assert (named.source, named.classes, named.size_px, named.has_runs) == ("small", CLASSES, 64, False)
    assert len(named.train) == 18
    assert named.test.labels.tolist() == [0, 1, 2] * 4
    assert named.train.images.dtype == torch.uint8
    # what is enlarged is still the same picture: a red disc has more red than blue in its middle
    red, _, blue = named.test.images[2, :, 28:36, 28:36].float().mean((1, 2))
    assert red > blue + 100


def test_an_npz_of_its_own_size_is_read_as_it_is(tmp_path):
    path = write_npz(tmp_path / "small.npz", side_px=32)
    named = read_named(path, ReadSettings(size_px=32))
    with np.load(path) as file:
        assert np.array_equal(named.train.images.permute(0, 2, 3, 1).numpy(), file["train_images"])


def test_caps(tmp_path):
    path = write_npz(tmp_path / "small.npz", side_px=32)
    named = read_named(path, ReadSettings(n_images=2, n_queries=3))
    assert np.bincount(named.train.labels).tolist() == [2] * 3
    assert np.bincount(named.test.labels).tolist() == [3] * 3
    assert read_named(path, ReadSettings(n_images=1)).test.labels.tolist() == [0, 1, 2]


def test_evenly():
    assert evenly(10, None).tolist() == list(range(10))
    assert evenly(3, 5).tolist() == [0, 1, 2]
    assert evenly(9, 3).tolist() == [0, 4, 8]


def test_the_folder_around_it_will_do(tmp_path):
    write_npz(tmp_path / "small.npz", side_px=32)
    assert read_named(tmp_path).source == "small"


@pytest.mark.parametrize("test", ["val", "test"])
def test_class_folders(tmp_path, test):
    named = read_named(write_folders(tmp_path / "mine", halves=("train", test)))
    assert (named.source, named.classes, named.size_px) == ("mine", CLASSES, 160)
    assert named.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert named.test.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_without_halves_every_third_image_is_held_out(tmp_path):
    root = write_folders(tmp_path, n_train=7, halves=("all",)) / "all"
    (root / "notes").mkdir()  # no images: no class
    named = read_named(root, ReadSettings(size_px=32))
    assert np.bincount(named.train.labels).tolist() == [5] * 3
    assert np.bincount(named.test.labels).tolist() == [2] * 3


def test_a_broken_file_is_left_out_and_said(tmp_path):
    root = write_folders(tmp_path)
    (root / "train" / CLASSES[1] / "0.png").write_text("no image")
    named = read_named(root, ReadSettings(size_px=32))
    assert len(named.train) == 8
    (line,) = named.problems
    assert line.startswith(f"{CLASSES[1]}/0.png: ")


def test_runs(tmp_path):
    named = read_named(write_runs(tmp_path / "all_runs.zip"))
    assert named.has_runs
    assert (named.size_px, named.n_classes) == (96, 3)
    assert named.train.task.tolist() == [0] * 3 + [1] * 3
    assert named.train.labels.tolist() == [0, 1, 2] * 2
    assert named.test.labels.tolist() == [2, 0, 1, 1, 2, 0]  # written in another order
    light = named.test.images[:, 0].float() / 255
    assert (light.mean((1, 2)) > 0.5).all()  # dark strokes on white stay so
    ink = (1 - light).mean((1, 2)).numpy()
    # as many strokes as the label says: names and pictures belong together
    assert (np.argsort(ink[:3]) == np.argsort(named.test.labels[:3])).all()


def test_the_middle_square_of_a_photograph():
    image = torch.zeros(1, 3, 4, 8)
    image[..., 2:6] = 1  # the middle
    assert (squared(image, 4) == 255).all()
    assert squared(image.mT, 4).shape == (1, 3, 4, 4)
    assert (squared(image.mT, 4) == 255).all()
    assert squared(image, 8).shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda p: p / "nowhere", "no such file or folder"),
        (lambda p: p, "two or more class folders"),
        (lambda p: (p / "train" / "a").mkdir(parents=True) or p, "one is missing"),
        (lambda p: write_text(p / "list.csv"), "neither .npz, .zip nor a folder"),
        (lambda p: write_text(p / "broken.npz"), "expected an .npz"),
        (lambda p: write_text(p / "broken.zip"), "expected a .zip of one-shot runs"),
        (lambda p: save(p / "a.npz", train_images=np.zeros(3)), "it lacks train_labels"),
        (lambda p: empty_zip(p / "a.zip"), "no runNN/class_labels.txt"),
        (lambda p: with_class_in_train_only(p), "red_disc are in one half only"),
        (lambda p: without_readable(p), "no image that can be read of red_disc in the test half"),
    ],
)
def test_another_layout(tmp_path, make, complaint):
    with pytest.raises(ValueError, match=complaint.replace(".", r"\.")):
        read_named(make(tmp_path))


def test_labels_that_are_none(tmp_path):
    images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array([0, 2])
    path = save(
        tmp_path / "a.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels,
        classes=np.array(["a", "b"]),
    )  # fmt: skip
    with pytest.raises(ValueError, match="labels 0 to 1"):
        read_named(path)


def test_a_run_that_lacks_a_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("run01/class_labels.txt", "run01/test/item01.png run01/training/class01.png")
    with pytest.raises(ValueError, match=r"class01\.png"):
        read_named(tmp_path / "a.zip")


def test_pictures_that_do_not_go_together():
    with pytest.raises(ValueError, match="2 labels"):
        Pictures(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), np.zeros(3, int), np.zeros(3, int))
    with pytest.raises(ValueError, match="of uint8"):
        Pictures(torch.zeros(2, 3, 32, 32), np.zeros(2, int), np.zeros(2, int))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "n_train", "n_test", "size_px"),
    [("cifar10_subset", 20, 20, 64), ("imagenette_subset", 20, 20, 160), ("omniglot_small", 400, 400, 96)],
)
def test_development_data(data_root, folder, n_train, n_test, size_px):
    if not (data_root / folder).is_dir():
        pytest.skip(f"no {folder} in the development data")
    named = read_named(data_root / folder, ReadSettings(n_images=2))
    assert (len(named.train), len(named.test), named.size_px) == (n_train, n_test, size_px)
    assert named.n_classes == (20 if named.has_runs else 10)
    assert not named.problems


def write_text(path):
    path.write_text("something else")
    return path


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def empty_zip(path):
    zipfile.ZipFile(path, "w").close()
    return path


def with_class_in_train_only(root):
    write_folders(root)
    for file in (root / "val" / "red_disc").iterdir():
        file.unlink()
    return root


def without_readable(root):
    write_folders(root)
    for file in (root / "val" / "red_disc").iterdir():
        file.write_text("no image")
    return root
