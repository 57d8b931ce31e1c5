"""Sources: what they hold, what they refuse, and that they read only when asked."""

from __future__ import annotations

import copy
import os
import pickle
import socket

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs.data.reading import Photograph, UnreadableImage, read_image
from ciliary.envs.data.sources import (
    BUNDLED,
    Source,
    bundled,
    dataset,
    expand_paths,
    file,
    folder,
    from_array,
    read_all,
    scenes,
)


def picture(path, colour="red", size=(48, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, format="PNG")
    return path


@pytest.fixture
def album(tmp_path):
    """A folder as people have them: nested, odd extensions, a broken file, things that are not images."""
    picture(tmp_path / "b.png")
    picture(tmp_path / "a.PNG")
    picture(tmp_path / "deep" / "er" / "c.Jpeg")
    picture(tmp_path / ".thumbnails" / "hidden.png")
    picture(tmp_path / "._b.png")
    (tmp_path / "broken.jpg").write_text("not a photograph")
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


# --- bundled


def test_bundled_photographs_are_real_and_need_no_network(monkeypatch):
    def no_network(*args, **kwargs):
        raise AssertionError("a bundled photograph must not open a connection")

    monkeypatch.setattr(socket, "socket", no_network)
    source = bundled()
    assert len(source) >= 4
    assert set(source.names) <= set(BUNDLED)
    assert {"astronaut", "chelsea", "coffee", "rocket"} <= set(source.names)
    for photograph in source:
        assert max(photograph.image.shape) == 192
        assert min(photograph.original_size) >= 300
        assert photograph.image.std() > 0.05
        assert photograph.name in BUNDLED


def test_bundled_by_name_in_the_order_asked():
    source = bundled(64, ["coffee", "astronaut"])
    assert [p.name for p in source] == ["coffee", "astronaut"]
    assert source[1].image.shape == (3, 64, 64)


def test_an_unknown_bundled_name_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"no bundled photograph dog; choose from .*chelsea"):
        bundled(64, ["dog"])


# --- the sequence


def counting(n: int) -> tuple[Source, list[int]]:
    reads: list[int] = []

    def load(i: int) -> Photograph:
        reads.append(i)
        return Photograph(f"p{i}", torch.full((3, 32, 32), i / n), (32, 32))

    return Source(tuple(f"p{i}" for i in range(n)), load), reads


def test_nothing_is_read_until_asked_and_then_once():
    source, reads = counting(5)
    assert len(source) == 5
    assert source.names[3] == "p3"
    assert reads == []
    assert source[3] is source[3]
    assert source[-1].name == "p4"
    assert reads == [3, 4]


def test_a_long_source_keeps_only_the_latest():
    source, reads = counting(200)
    assert len(list(source)) == 200
    assert len(reads) == 200
    assert len(source._kept) == 64
    assert source[199].name == "p199"
    assert len(reads) == 200


def test_slices_are_sources():
    source, reads = counting(6)
    part = source[1::2]
    assert part.names == ("p1", "p3", "p5")
    assert reads == []
    assert part[1].name == "p3"


def test_find():
    source, _ = counting(3)
    assert source.find("p2").name == "p2"
    with pytest.raises(KeyError, match="it has p0, p1, p2"):
        source.find("p9")


@pytest.mark.parametrize("index", [3, -4])
def test_beyond_the_end(index):
    source, _ = counting(3)
    with pytest.raises(IndexError):
        source[index]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda source: pickle.loads(pickle.dumps(source))])
def test_sources_can_be_sent_to_another_process(clone, album):
    for source in (bundled(64), folder(album), scenes([0])):
        again = clone(source)
        assert again.names == source.names
        assert torch.equal(again[0].image, source[0].image)


# --- files and folders


def test_one_file(tmp_path):
    source = file(picture(tmp_path / "x.png"))
    assert source.names == ("x",)
    assert source[0].original_size == (40, 48)
    with pytest.raises(UnreadableImage, match="no such file"):
        file(tmp_path / "gone.png")


def test_a_folder_is_recursive_sorted_and_names_are_paths(album):
    source = folder(album)
    assert source.names == ("a", "b", "broken", "deep/er/c")
    assert source[3].name == "deep/er/c"
    with pytest.raises(UnreadableImage, match=r"broken\.jpg: not an image"):
        source[2]


def test_one_stem_in_two_formats_keeps_its_extension(tmp_path):
    picture(tmp_path / "x.png")
    picture(tmp_path / "x.bmp")
    assert folder(tmp_path).names == ("x.bmp", "x.png")


def test_folders_without_images_are_named(tmp_path):
    with pytest.raises(UnreadableImage, match="no images in this folder"):
        folder(tmp_path)
    with pytest.raises(UnreadableImage, match="no such folder"):
        folder(tmp_path / "gone")


def test_expand_paths_gives_files_and_problems(album, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    paths, problems = expand_paths(
        [album / "deep", album, str(album / "notes.txt"), album / "gone.png", empty, album / "b.png"]
    )
    assert [p.relative_to(album).as_posix() for p in paths] == [
        "deep/er/c.Jpeg",
        "a.PNG",
        "b.png",
        "broken.jpg",
        "notes.txt",
    ]
    assert [(p.path.name, p.reason) for p in problems] == [
        ("gone.png", "no such file or folder"),
        ("empty", "no images in this folder"),
    ]


def test_a_folder_that_may_not_be_read_is_a_problem(album, monkeypatch):
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    paths, problems = expand_paths([album])
    assert [p.name for p in paths] == ["a.PNG", "b.png", "broken.jpg"]
    assert [str(p) for p in problems] == [f"{album / 'deep'}: folder cannot be read (Permission denied)"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_a_link_to_its_own_folder_is_no_endless_walk(album):
    (album / "deep" / "loop").symlink_to(album, target_is_directory=True)
    assert len(expand_paths([album])[0]) == 4


def test_read_all_goes_on_after_a_broken_file(album):
    outcome = list(read_all(expand_paths([album])[0]))
    assert [isinstance(item, Photograph) for item in outcome] == [True, True, False, True]
    assert isinstance(outcome[2], UnreadableImage)


# --- data sets and arrays


class Cubes:
    """A torchvision-style data set of one item kind."""

    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 11

    def __getitem__(self, index):
        return self.item, index


BYTES = np.tile(np.array([255, 51, 0], np.uint8), (40, 48, 1))


@pytest.mark.parametrize(
    "item",
    [
        Image.fromarray(BYTES),
        BYTES,
        torch.from_numpy(BYTES).permute(2, 0, 1),
        torch.from_numpy(BYTES).permute(2, 0, 1).float() / 255,
        np.dstack([BYTES, np.full((40, 48), 255, np.uint8)]),
    ],
    ids=["PIL", "array", "byte tensor", "float tensor", "RGBA array"],
)
def test_a_torchvision_style_data_set(item):
    source = dataset(Cubes(item), prefix="cube")
    assert len(source) == 11
    assert source.names[3] == "cube_03"
    expected = torch.tensor([1.0, 0.2, 0.0])[:, None, None].expand(3, 40, 48)
    torch.testing.assert_close(source[3].image, expected)
    assert source[3].original_size == (40, 48)


def test_a_real_torchvision_data_set():
    from torchvision import transforms
    from torchvision.datasets import FakeData

    source = dataset(FakeData(size=3, image_size=(3, 50, 70), transform=transforms.ToTensor()))
    assert source[2].image.shape == (3, 50, 70)
    assert source[2].image.std() > 0.1


def test_small_items_are_enlarged_and_large_ones_shrunk():
    small = from_array(np.full((28, 28), 51, np.uint8), "digit")
    torch.testing.assert_close(small.image, torch.full((3, 32, 32), 0.2))
    assert small.original_size == (28, 28)
    assert small.notes == ("enlarged from 28x28 to 32x32 px",)
    assert from_array(torch.rand(3, 400, 600), "x").image.shape == (3, 128, 192)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (torch.randn(3, 40, 40), "leave out Normalize"),
        (torch.full((3, 40, 40), float("nan")), r"4800 of 4800 values are not finite \(NaN or infinite\)"),
        (np.full((40, 40), np.inf), "1600 of 1600 values are not finite"),
        (np.linspace(0, 255, 1600).reshape(40, 40), r"expected values in \[0, 1\].* got 0 to 255: divide by 255$"),
        (np.full((40, 40), 65535), "divide by 65535"),
        (torch.full((3, 40, 40), 255.0), "divide by 255$"),
        (np.full((40, 40), 1.2), "bring them to"),
        (np.full((40, 40), -1.0), r"got -1 to -1: bring them to \[0, 1\]"),
        (torch.zeros(2, 40, 40), "1, 3 or 4 channels"),
        (np.zeros((2, 2, 3, 3), np.uint8), "expected"),
    ],
)
def test_arrays_that_are_no_image_are_named(pixels, words):
    with pytest.raises(UnreadableImage, match=f"item: .*{words}"):
        from_array(pixels, "item")


@pytest.mark.parametrize("top", [65535, 4000])
def test_sixteen_bits_are_read_as_those_of_a_file(tmp_path, top):
    values = np.linspace(0, top, 1600).reshape(40, 40).astype(np.uint16)
    path = tmp_path / "x.png"
    Image.fromarray(values).save(path)
    for given in (values, torch.from_numpy(values)[None]):
        photograph = from_array(given, "x")
        torch.testing.assert_close(photograph.image, read_image(path).image)
        (note,) = photograph.notes
        assert note == (
            "16-bit values were divided by 65535" if top == 65535 else "values up to 4000 of 65535: read as 12 bits"
        )
    colours = from_array(np.stack([values, values // 2, values * 0], 2), "x").image
    torch.testing.assert_close(colours[0], read_image(path).image[0])


# --- scenes


def test_scenes_come_with_their_answers():
    source = scenes([0, 5], ["discs", "kanizsa"], (64, 96))
    assert source.names == ("discs_0", "discs_5", "kanizsa_0", "kanizsa_5")
    assert source[3].labels.shape == (64, 96)
    assert source[3].image.shape == (3, 64, 96)
    assert source[3].original_size == (64, 96)
