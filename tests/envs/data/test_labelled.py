"""Readers of labelled images: folders made here, and the real set where there is some."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from skimage.morphology import thin

from ciliary.envs.data.labelled import read_bsds, read_labelled_folder
from ciliary.envs.metrics.boundaries import label_boundaries
from ciliary.envs.metrics.regions import region_covering

SIZE = (33, 40)
HALVES = np.where(np.arange(SIZE[1]) < 20, 3, 900)[None].repeat(SIZE[0], 0).astype(np.uint16)


def write_photograph(path, size=SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 128, np.uint8)).save(path)


def write_labels(path, labels=HALVES) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels).save(path)


def write_mat(path, segmentations) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.empty((1, len(segmentations)), object)
    for i, one in enumerate(segmentations):
        drawn[0, i] = {"Segmentation": one, "Boundaries": thin(label_boundaries(one)).astype(np.uint8)}
    savemat(path, {"groundTruth": drawn})


@pytest.fixture
def fake_bsds(tmp_path):
    for k in range(7):
        write_photograph(tmp_path / "images" / "val" / f"{k}.jpg")
        write_mat(tmp_path / "groundTruth" / "val" / f"{k}.mat", [HALVES, HALVES // 900])
    return tmp_path


def test_entries_are_whole(fake_bsds):
    found = read_bsds(fake_bsds, "val")
    assert found.names == tuple("0123456")
    assert len(found) == 7
    entry = found[2]
    assert (entry.name, entry.path, entry.size) == ("2", fake_bsds / "images" / "val" / "2.jpg", SIZE)
    assert entry.image.shape == (3, *SIZE)
    assert entry.image.dtype == torch.float32
    assert [one.shape for one in (*entry.segmentations, *entry.boundaries)] == [SIZE] * 4
    assert entry.boundaries[0].dtype == bool
    assert entry.boundaries[0].sum() == SIZE[0]
    assert region_covering(HALVES, entry.people) == 1


def test_a_subset_is_evenly_spaced(fake_bsds):
    assert read_bsds(fake_bsds, "val", n_images=3).names == ("0", "2", "4")  # every 7 // 3-rd
    assert read_bsds(fake_bsds, "val", n_images=7).names == tuple("0123456")
    assert read_bsds(fake_bsds, "val")[1:3].names == ("1", "2")
    assert [entry.name for entry in read_bsds(fake_bsds, "val", n_images=2)] == ["0", "3"]
    with pytest.raises(ValueError, match="give 1 to 7"):
        read_bsds(fake_bsds, "val", n_images=8)


def test_a_set_travels_to_worker_processes(fake_bsds):
    found = pickle.loads(pickle.dumps(read_bsds(fake_bsds, "val")))
    assert found[0].name == "0"


def test_broken_sets_are_named(fake_bsds):
    with pytest.raises(ValueError, match="held out"):
        read_bsds(fake_bsds, "test")
    with pytest.raises(ValueError, match="images/train"):
        read_bsds(fake_bsds, "train")
    broken = fake_bsds / "groundTruth" / "val" / "3.mat"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"3\.mat: not a ground truth file"):
        read_bsds(fake_bsds, "val")[3]
    write_mat(broken, [HALVES.T])
    with pytest.raises(ValueError, match=r"3\.mat: .* height and width"):
        read_bsds(fake_bsds, "val")[3]
    broken.unlink()
    with pytest.raises(ValueError, match=r"3\.jpg: .* missing"):
        read_bsds(fake_bsds, "val")


def test_a_folder_of_ones_own(tmp_path):
    for name in ("cat.jpg", "cat2.png"):
        write_photograph(tmp_path / "images" / name)
    for name in ("cat", "cat2_anna", "cat2_ben"):
        write_labels(tmp_path / "labels" / f"{name}.png")
    found = read_labelled_folder(tmp_path)
    assert found.names == ("cat", "cat2")
    assert [len(entry.segmentations) for entry in found] == [1, 2]
    np.testing.assert_array_equal(found[1].segmentations[1], HALVES)  # 16 bits survive
    assert found[0].boundaries[0].sum() == SIZE[0]


def test_mistakes_in_ones_own_folder_are_named(tmp_path):
    with pytest.raises(ValueError, match="holds images/ and labels/"):
        read_labelled_folder(tmp_path)
    write_photograph(tmp_path / "images" / "cat.jpg")
    with pytest.raises(ValueError, match=r"cat\.jpg: has no label map"):
        read_labelled_folder(tmp_path)
    write_labels(tmp_path / "labels" / "cat.png", np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(ValueError, match=r"cat\.png: .* RGB"):
        read_labelled_folder(tmp_path)[0]
    write_labels(tmp_path / "labels" / "dog.png")
    with pytest.raises(ValueError, match=r"dog\.png: belongs to no image"):
        read_labelled_folder(tmp_path)
    (tmp_path / "labels" / "dog.png").unlink()
    write_photograph(tmp_path / "images" / "cat.png")
    with pytest.raises(ValueError, match="one name"):
        read_labelled_folder(tmp_path)


@pytest.mark.slow
def test_the_real_set(bsds_root):
    assert len(read_bsds(bsds_root, "train")) == 200
    assert len(read_bsds(bsds_root, "val")) == 100
    for entry in read_bsds(bsds_root, "val", n_images=10):
        assert 4 <= len(entry.segmentations) <= 9
        assert sorted(entry.size) == [321, 481]
        for segmentation, boundary in zip(entry.segmentations, entry.boundaries, strict=True):
            np.testing.assert_array_equal(thin(label_boundaries(segmentation)), boundary)
