"""Kinds of file: each comes out upright, in colour, between 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from ciliary.envs.data import reading
from ciliary.envs.data.reading import read_image
from ciliary_tests.pictures import as_bytes, corners, save

# --- what is read


def test_an_rgb_file_is_read_exactly(tmp_path):
    photograph = read_image(save(tmp_path / "a.b.png", corners()))
    np.testing.assert_array_equal(as_bytes(photograph.image), corners())
    assert photograph.image.dtype == torch.float32
    assert photograph.image.is_contiguous()
    assert photograph.name == "a.b"
    assert photograph.path == tmp_path / "a.b.png"
    assert photograph.original_size == (40, 60)
    assert photograph.notes == ()


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "ppm", "webp", "gif", "jpg"])
def test_common_kinds(tmp_path, extension):
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(extension, {})
    photograph = read_image(save(tmp_path / f"x.{extension}", corners(), **options))
    np.testing.assert_allclose(as_bytes(photograph.image), corners(), atol=3)


def test_content_decides_not_the_extension(tmp_path):
    photograph = read_image(save(tmp_path / "x.jpg", corners(), format="PNG"))
    np.testing.assert_array_equal(as_bytes(photograph.image), corners())


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", 76), ("1", None), ("P", (255, 0, 0)), ("CMYK", (255, 0, 0)), ("YCbCr", (254, 0, 0))]
)
def test_modes_become_rgb(tmp_path, mode, expected):
    extension = "tif" if mode in ("CMYK", "YCbCr") else "png"
    path = save(tmp_path / f"x.{extension}", corners(), mode)
    try:
        with Image.open(path) as own:
            own.load()
    except OSError as error:  # Pillow 11.3 cannot read the YCbCr TIFF that it wrote
        pytest.skip(f"this Pillow cannot read its own file: {error}")
    photograph = read_image(path)
    assert photograph.image.shape == (3, 40, 60)
    if expected is not None:
        np.testing.assert_allclose(as_bytes(photograph.image)[5, 5], np.broadcast_to(expected, 3), atol=1)


def test_a_cmyk_jpeg_is_not_inverted(tmp_path):
    photograph = read_image(save(tmp_path / "x.jpg", corners(), "CMYK", quality=100, subsampling=0))
    np.testing.assert_allclose(as_bytes(photograph.image), corners(), atol=6)


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_sixteen_bit_grey_goes_from_zero_to_one(tmp_path, extension):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    image = read_image(save(tmp_path / f"x.{extension}", ramp)).image
    np.testing.assert_allclose(image[1].numpy(), ramp / 65535, atol=1e-6)
    assert float(image.max()) == 1
    assert torch.equal(image[0], image[2])


def test_sixteen_bit_grey_is_shrunk_right_too(tmp_path):
    ramp = np.broadcast_to(np.linspace(0, 65535, 800).astype(np.uint16), (400, 800))
    image = read_image(save(tmp_path / "x.png", np.ascontiguousarray(ramp)), 100).image
    np.testing.assert_allclose(image[0, 25].numpy(), (np.arange(100) + 0.5) / 100, atol=0.01)


def test_float_tiff_in_unit_range_is_taken_as_it_is(tmp_path):
    values = np.linspace(0.2, 0.7, 40 * 40, dtype=np.float32).reshape(40, 40)
    photograph = read_image(save(tmp_path / "x.tif", values))
    np.testing.assert_allclose(photograph.image[0].numpy(), values, atol=1e-6)
    assert photograph.notes == ()


def test_float_tiff_beyond_unit_range_is_stretched_and_says_so(tmp_path):
    values = np.linspace(-50, 150, 40 * 40, dtype=np.float32).reshape(40, 40)
    values[3, 3] = np.nan
    photograph = read_image(save(tmp_path / "x.tif", values))
    assert torch.isfinite(photograph.image).all()
    assert float(photograph.image.min()) == 0
    assert float(photograph.image.max()) == 1
    assert float(photograph.image[0, 20, 0]) == pytest.approx((values[20, 0] + 50) / 200, abs=1e-5)
    assert any("not finite" in note for note in photograph.notes)
    assert any("-50 to 150" in note for note in photograph.notes)


def test_transparent_parts_are_mid_grey(tmp_path):
    rgba = np.dstack([corners(), np.full((40, 60), 255, np.uint8)])
    rgba[:20, :30, 3] = 0  # the red quarter cannot be seen
    rgba[:20, 30:, 3] = 51  # the green one a fifth
    photograph = read_image(save(tmp_path / "x.png", rgba))
    torch.testing.assert_close(photograph.image[:, 5, 5], torch.full((3,), 0.5))
    torch.testing.assert_close(photograph.image[:, 5, 50], torch.tensor([0.4, 0.6, 0.4]))
    torch.testing.assert_close(photograph.image[:, 30, 5], torch.tensor([0.0, 0.0, 1.0]))
    assert any("mid-grey" in note for note in photograph.notes)


def test_hidden_colour_does_not_leak_when_shrunk(tmp_path):
    rgba = np.zeros((200, 200, 4), np.uint8)
    rgba[..., 0] = 255  # red everywhere, seen nowhere
    image = read_image(save(tmp_path / "x.png", rgba), 50).image
    torch.testing.assert_close(image, torch.full_like(image, 0.5), atol=0.003, rtol=0)


def test_grey_with_alpha(tmp_path):
    photograph = read_image(
        save(tmp_path / "x.png", np.dstack([np.full((40, 40), 200), np.zeros((40, 40))]).astype(np.uint8))
    )
    assert float(photograph.image.max()) == 0.5


def test_palette_with_transparency(tmp_path):
    indices = Image.fromarray((np.arange(1600).reshape(40, 40) // 800).astype(np.uint8), "P")
    indices.putpalette([255, 0, 0, 0, 0, 255])
    photograph = read_image(save(tmp_path / "x.png", indices, transparency=0))
    torch.testing.assert_close(photograph.image[:, 5, 5], torch.full((3,), 0.5))
    torch.testing.assert_close(photograph.image[:, 30, 5], torch.tensor([0.0, 0.0, 1.0]))


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tif"])
def test_of_an_animation_the_first_frame(tmp_path, extension):
    first, second = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if extension == "webp" else {}
    photograph = read_image(save(tmp_path / f"x.{extension}", first, save_all=True, append_images=[second], **options))
    torch.testing.assert_close(photograph.image[:, 9, 9], torch.tensor([1.0, 0.0, 0.0]))
    assert any("first" in note for note in photograph.notes)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_followed(tmp_path, orientation, extension):
    """The file is written turned, with the tag that undoes it: it must always come out upright."""
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = Image.fromarray(corners())
    if orientation > 1:
        stored = stored.transpose(reading._UPRIGHT[undo[orientation]])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(extension, {})
    photograph = read_image(save(tmp_path / f"x.{extension}", stored, exif=exif, **options))
    assert photograph.original_size == (40, 60)
    np.testing.assert_allclose(as_bytes(photograph.image), corners(), atol=3)


def test_orientation_survives_shrinking(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photograph = read_image(save(tmp_path / "x.jpg", np.zeros((1200, 1600, 3), np.uint8), exif=exif), 192)
    assert photograph.original_size == (1600, 1200)
    assert photograph.image.shape == (3, 192, 144)
