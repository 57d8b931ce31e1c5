"""The one door to picture files: harm is refused, pixels are the same by every door, own pictures are known."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from ciliary.envs.data.active.stacks import frame_paths
from ciliary.envs.data.depth import read_depth
from ciliary.envs.data.images import as_photograph
from ciliary.envs.data.labelled import read_labelled_folder
from ciliary.envs.data.opening import SOFTWARE, UnreadableImage, is_signed, open_picture
from ciliary.envs.data.reading import read_image
from ciliary.envs.data.sources import PassedOver, expand_paths, folder
from ciliary_tests.pictures import corners, save

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n"


def code_stream(path, **sizes):
    """A JPEG 2000 of a plain grey page whose header says other sizes than it has."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 77).save(buffer, "JPEG2000", no_jp2=True)
    data = buffer.getvalue()
    at = data.index(b"\xff\x4f\xff\x51") + 8
    names = ("right", "bottom", "left", "top", "wide", "tall", "first_x", "first_y")
    said = dict(zip(names, struct.unpack(">8I", data[at : at + 32]), strict=True)) | sizes
    path.write_bytes(data[:at] + struct.pack(">8I", *said.values()) + data[at + 32 :])
    return path


@pytest.mark.parametrize(
    "sizes",
    [
        {"right": 19000, "bottom": 19000, "wide": 19000, "tall": 19000},
        {"right": 3000, "bottom": 3000, "wide": 1, "tall": 1},
        {"right": 9000, "bottom": 7000, "wide": 9000, "tall": 7000},
        {"wide": 0},
    ],
)
def test_a_header_that_says_more_than_the_file_can_hold_is_refused_at_once(tmp_path, sizes):
    with pytest.raises(UnreadableImage, match=r"x\.j2k: .*(harm|no size)"):
        read_image(code_stream(tmp_path / "x.j2k", **sizes))


def test_a_plain_page_of_that_kind_is_read(tmp_path):
    image = read_image(code_stream(tmp_path / "x.j2k")).image
    torch.testing.assert_close(image, torch.full_like(image, 77 / 255))


def test_many_pixels_of_32_bits_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "x.tif"
    head = [(256, 4, 1, 19999), (257, 4, 1, 19999), (258, 3, 1, 32), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 200)]
    head += [(277, 3, 1, 1), (278, 4, 1, 19999), (279, 4, 1, 2_200_000), (339, 3, 1, 3)]
    tags = b"".join(struct.pack("<HHII", *one) for one in head)
    body = b"II*\0" + struct.pack("<IH", 8, len(head)) + tags + struct.pack("<I", 0)
    path.write_bytes(body + bytes(2_200_000))
    with pytest.raises(UnreadableImage, match="over the limit of 100 megapixels of 32 bits"):
        read_image(path)


@pytest.mark.parametrize("extremes", [(-3.4e38, 3.4e38), (0.0, 3.4e38), (-3.4e38, 0.0), (np.nan, np.inf), (-np.inf, 2)])
def test_no_float_reaches_the_cortex_that_is_not_finite(tmp_path, extremes):
    values = np.full((40, 40), 0.5, np.float32)
    values[0, :2] = extremes
    image = read_image(save(tmp_path / "x.tif", values)).image
    assert torch.isfinite(image).all()
    assert 0 <= image.min() <= image.max() <= 1


@pytest.mark.parametrize(("n_bits", "extension"), [(8, "png"), (10, "png"), (12, "png"), (12, "tif")])
def test_few_bits_in_sixteen_are_read_as_what_they_are(tmp_path, n_bits, extension):
    eight = np.tile(np.arange(20, 240, 5, dtype=np.uint16), (44, 1))
    values = (eight * np.uint16(2 ** (n_bits - 8))).astype(np.uint16)
    photograph = read_image(save(tmp_path / f"x.{extension}", values))
    np.testing.assert_allclose(photograph.image[0].numpy(), values / (2**n_bits - 1), atol=1e-6)
    assert any(f"read as {n_bits} bits" in note for note in photograph.notes)


def in_memory(mode):
    grey = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    if mode == "I;16":
        return Image.fromarray(grey.astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    return Image.fromarray(np.dstack([grey, grey[:, ::-1], grey // 2])).convert(mode)


@pytest.mark.parametrize(
    ("mode", "extension"), [("I;16", "png"), ("F", "tif"), ("CMYK", "tif"), ("P", "png"), ("1", "png")]
)
def test_pixels_are_the_same_from_a_file_and_from_memory(tmp_path, mode, extension):
    """``convert("RGB")`` cuts 16 bits off at 255, and floats: nearly white, or black."""
    path = save(tmp_path / f"x.{extension}", in_memory(mode))
    with Image.open(path) as picture:
        held = as_photograph(picture, "x", 192)
    torch.testing.assert_close(held.image, read_image(path).image)


def test_a_picture_in_memory_is_turned_upright_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "x.jpg"
    Image.fromarray(corners()).save(path, exif=exif, quality=95)
    with Image.open(path) as picture:
        held = as_photograph(picture, "x", 192)
    assert held.original_size == read_image(path).original_size
    assert float((held.image - read_image(path).image).abs().mean()) < 0.01


@pytest.mark.parametrize("read", ["depth", "labels"])
def test_no_door_starts_an_interpreter(tmp_path, read):
    """A depth or label map that is PostScript inside is refused as a photograph is."""
    if read == "depth":
        save(tmp_path / "a.color.png", corners())
        (tmp_path / "a.depth.png").write_bytes(POSTSCRIPT)
        with pytest.raises(ValueError, match=r"a\.depth\.png: cannot be read as a depth map \(not an image"):
            read_depth([tmp_path])[0]
        return
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    save(tmp_path / "images" / "a.png", corners())
    (tmp_path / "labels" / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(ValueError, match=r"a\.png: cannot be read as a label map \(not an image"):
        read_labelled_folder(tmp_path)[0]


def own(path):
    with Image.open(path) as page:
        page.load()
    if path.suffix == ".gif":
        page.save(path, comment=SOFTWARE.encode())
        return
    from PIL.PngImagePlugin import PngInfo

    sign = PngInfo()
    sign.add_text("Software", SOFTWARE)
    page.save(path, pnginfo=sign)


def test_own_pictures_are_no_photographs_of_a_folder_and_no_frames(tmp_path):
    for name in ("a.png", "b.png", "figure.png", "film.gif"):
        save(tmp_path / name, corners())
    for name in ("figure.png", "film.gif"):
        own(tmp_path / name)
        assert is_signed(tmp_path / name)
    with pytest.warns(PassedOver, match="2 pictures that Ciliary drew itself were passed over, such as .*figure.png"):
        assert folder(tmp_path).names == ("a", "b")
    with pytest.warns(PassedOver):
        assert [path.name for path in frame_paths(tmp_path, at_least=2)] == ["a.png", "b.png"]


def test_what_cannot_be_read_is_named_and_what_can_is_read(tmp_path):
    for name in ("a.png", "b.pcx", "c.sgi", "d.ico", "raw.jpg"):
        save(tmp_path / name, Image.fromarray(corners()).resize((48, 48)))
    for name in ("e.heic", "f.heic", "g.psd", "raw.cr2", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0" * 64)
    paths, problems = expand_paths([tmp_path])
    assert [path.name for path in paths] == ["a.png", "b.pcx", "c.sgi", "d.ico", "raw.jpg"]
    assert all(read_image(path).image.shape == (3, 48, 48) for path in paths)
    lines = [str(problem) for problem in problems]
    assert len(lines) == 2
    assert "e.heic: of a kind that cannot be read here (.heic)" in lines[0]
    assert "and 1 more" in lines[0]
    assert "g.psd" in lines[1]
    with pytest.warns(PassedOver, match="heic"):
        folder(tmp_path)


def test_a_picture_is_opened_quietly(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_picture(save(tmp_path / "x.png", corners())) as file:
            assert file.size[0] > 0
