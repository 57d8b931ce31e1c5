"""Files for other programs: exact sizes and depths, whole or not at all, never two of one name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ciliary.cortex import Cortex, default_theta
from ciliary.tuning.runs import files as saving
from ciliary_tests.worlds import Picture


@pytest.fixture(scope="module")
def percept():
    with torch.no_grad():
        return Cortex()(Picture("a").image[None], default_theta(1))


def test_labels_are_those_of_the_percept_at_input_resolution(percept):
    image = saving.label_image(percept, (150, 200))
    assert image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(image), percept.labels((150, 200))[0].numpy())


@pytest.mark.parametrize("size", [(48, 64), (96, 128), (700, 130), (1030, 61)])
def test_boundary_is_the_contour_resampled_without_seams(percept, size):
    """Bands of rows are an economy of memory: the whole map resampled at once is the same to a grey level."""
    made = np.asarray(saving.map_image(percept.boundary, size)).astype(float)
    whole = F.interpolate(percept.m2.contour, size=size, mode="bilinear", antialias=True, align_corners=False)
    np.testing.assert_allclose(made, 255 * whole[0, 0].clamp(0, 1).numpy(), atol=1.01)


def test_regions_to_be_looked_at_are_coloured_and_no_larger_than_a_screen(percept):
    image = Picture("a").image
    small, large = (saving.regions_image(percept, image, size) for size in ((96, 128), (1500, 2000)))
    assert small.size == (128, 96)
    assert large.size == (1024, 768)
    labels, pixels = percept.labels((96, 128))[0].numpy(), np.asarray(small).astype(float)
    inner = np.ones(labels.shape, dtype=bool)
    inner[1:] &= labels[1:] == labels[:-1]
    inner[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    one, other = (pixels[inner & (labels == k)].mean(0) for k in (0, 1))
    assert np.abs(one - other).max() > 20  # two regions, two colours


def test_json_comes_last_and_names_the_maps(percept, tmp_path):
    files = saving.save_episode(
        tmp_path / "new", "x", percept=percept, image=Picture("a").image, size=(60, 80), summary={"seed": 1}
    )
    assert list(files) == ["labels", "boundary", "regions", "json"]
    page = json.loads((tmp_path / "new" / "x.json").read_text())
    assert page == {"seed": 1, "labels": "x.labels.png", "boundary": "x.boundary.png", "regions": "x.regions.png"}


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = saving.write_atomically(tmp_path / "a.json", b"old")

    def fail(*names):
        raise OSError("disk full")

    monkeypatch.setattr(saving.Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        saving.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_can_be_read_by_others(tmp_path):
    assert saving.write_atomically(tmp_path / "a", b"").stat().st_mode & 0o777 == 0o644


def test_stems():
    assert saving.plan_stems(["a", "b"], ["fog:2"]) == [{"fog:2": "a"}, {"fog:2": "b"}]
    assert saving.plan_stems(["a"], ["none", "fog:2.5"]) == [{"none": "a__none", "fog:2.5": "a__fog_2.5"}]
    assert [row["none"] for row in saving.plan_stems(["a", "A", "a", "a_2"], ["none"])] == ["a", "A_2", "a_3", "a_2_2"]


def test_label_png_keeps_more_than_256_labels(tmp_path):
    image = Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30))
    path = saving.write_atomically(tmp_path / "l.png", saving._png(image))
    with Image.open(path) as back:
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))


def test_files_of_others_are_not_written_over(percept, tmp_path):
    """Found from outside: a LabelMe annotation lies beside its photograph, under the name of our JSON."""
    annotation = b'{"shapes": [], "imagePath": "a.jpg"}'
    (tmp_path / "a.json").write_bytes(annotation)
    (tmp_path / "b.labels.png").write_bytes(b"somebody's")
    stems = [row["none"] for row in saving.plan_stems(["a", "b", "c"], ["none"], tmp_path)]
    assert stems == ["a_2", "b_2", "c"]
    for stem in stems:
        summary = {"controller": "fixed", "parameters": {}}
        saving.save_episode(tmp_path, stem, percept=percept, image=Picture(stem).image, size=(60, 80), summary=summary)
    assert (tmp_path / "a.json").read_bytes() == annotation
    assert [row["none"] for row in saving.plan_stems(["a", "b", "c"], ["none"], tmp_path)] == stems  # ours by now
    (tmp_path / "c.json").unlink()
    assert not saving.is_foreign(tmp_path, "c")  # the maps tell whose they are


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(saving.NotWritable, match="cannot write into"):
        saving.check_writable(tmp_path / "file")
    saving.check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []


def test_stems_fit_every_file_system_and_stay_in_their_folder():
    """255 bytes a name: with our ends and in a temporary name."""
    for name in ("x" * 250, "\u5bb6" * 83, "a/b", "../../up"):
        (row,) = saving.plan_stems([name], ["gaussian_noise:3"])
        stem = row["gaussian_noise:3"]
        assert len(f".{stem}__gaussian_noise_3.uncertainty.png.12345678".encode()) <= 255
        assert "/" not in stem
    long = saving.plan_stems(["x" * 250, "x" * 251], ["none"])
    assert long[0] != long[1]


@pytest.mark.parametrize("end", [".png", ".gif", ".json", ".html"])
def test_a_file_of_any_kind_is_told_from_ours(tmp_path, end):
    path = tmp_path / f"a{end}"
    picture = Image.new("RGB", (8, 8), "red")
    if end == ".json":
        path.write_text("[1]")
    elif end == ".html":
        path.write_text("<!doctype html>")
    else:
        picture.save(path)
    assert saving.is_foreign(tmp_path, "a", [end])
    assert saving.plan_stems(["a"], ["none"], tmp_path, [end]) == [{"none": "a_2"}]
    if end == ".json":
        saving.write_page(path, {"x": 1})
    elif end == ".html":
        path.write_text(f"<!doctype html><head>{saving.GENERATOR}")
    elif end == ".gif":
        from ciliary.tuning.sessions.animation import write_gif

        write_gif([np.zeros((8, 8, 3), np.uint8)] * 2, path)
    else:
        from matplotlib.figure import Figure

        from ciliary.tuning.sessions.figures import write_figure

        write_figure(Figure(figsize=(0.2, 0.2)), path)
    assert not saving.is_foreign(tmp_path, "a", [end])
