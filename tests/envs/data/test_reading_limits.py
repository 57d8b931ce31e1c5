"""Sizes, memory, and what is refused: any file a user may point at is read, or named in one clear line."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ciliary.envs.data.reading import MAX_PIXELS, UnreadableImage, fit_size, read_image
from ciliary_tests.pictures import as_bytes, corners, save

# --- sizes


def test_shrinking_keeps_the_picture(tmp_path, chelsea):
    """Against a box mean of the same file: decoder shortcuts must not shift or darken it."""
    large = np.kron(as_bytes(chelsea[0]), np.ones((16, 16, 1), np.uint8))  # (1024, 1536)
    for path in (save(tmp_path / "x.jpg", large, quality=97), save(tmp_path / "x.png", large)):
        photograph = read_image(path, 96)
        assert photograph.original_size == (1024, 1536)
        assert (photograph.image - chelsea[0]).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("size", "long_side_px", "expected"),
    [
        ((400, 600), 192, (128, 192)),
        ((600, 400), 192, (192, 128)),
        ((100, 80), 192, (100, 80)),  # never enlarged without need
        ((8, 8), 192, (32, 32)),
        ((8, 16), 192, (32, 64)),
        ((8, 100), 192, (32, 192)),  # as far as the long side allows
        ((10, 2000), 192, (32, 192)),
        ((2000, 10), 192, (192, 32)),
        ((500, 700), None, (500, 700)),
        ((8, 8), None, (32, 32)),
        ((10, 2000), None, (32, 2000)),
    ],
)
def test_fit_size(size, long_side_px, expected):
    assert fit_size(size, long_side_px) == expected


@given(height=st.integers(4, 20000), width=st.integers(4, 20000), long_side_px=st.integers(32, 512))
def test_fit_size_keeps_its_bounds(height, width, long_side_px):
    fitted = fit_size((height, width), long_side_px)
    assert min(fitted) >= 32
    assert max(fitted) <= long_side_px


@pytest.mark.parametrize("size", [(8, 8), (4, 4), (10, 2000), (2000, 10), (31, 33), (5, 7)])
def test_tiny_and_narrow_files_are_handled_and_say_so(tmp_path, size):
    photograph = read_image(save(tmp_path / "x.png", np.full((*size, 3), 77, np.uint8)))
    assert photograph.image.shape == (3, *fit_size(size, 192))
    assert photograph.original_size == size
    torch.testing.assert_close(photograph.image, torch.full_like(photograph.image, 77 / 255))
    assert any(note.startswith(f"enlarged from {size[1]}x{size[0]}") for note in photograph.notes)


@pytest.mark.parametrize("size", [(3, 3), (1, 1), (3, 200)])
def test_below_four_pixels_is_refused(tmp_path, size):
    with pytest.raises(UnreadableImage, match=rf"x\.png: {size[1]}x{size[0]} px is too small.*at least 4 px"):
        read_image(save(tmp_path / "x.png", np.zeros((*size, 3), np.uint8)))


def test_a_long_side_the_cortex_cannot_use_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 32, got 16"):
        read_image(tmp_path / "x.png", 16)


def header_only_png(path, width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


def test_over_the_stated_limit_is_named_before_it_is_decoded(tmp_path):
    path = header_only_png(tmp_path / "bomb.png", 30000, 30000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match=r"bomb\.png: 30000x30000 px is over the limit of 400 megapixels"):
            read_image(path)
    assert MAX_PIXELS == 400_000_000


def test_pillows_own_limit_is_put_back(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    read_image(save(tmp_path / "x.png", corners()))
    with pytest.raises(UnreadableImage):
        read_image(tmp_path / "missing.png")
    assert before == Image.MAX_IMAGE_PIXELS


PEAK = """
import sys
from pathlib import Path
import torch
from ciliary.envs.data.reading import read_image

def peak_kb():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

before = peak_kb()
photograph = read_image(sys.argv[1], 192)
print(peak_kb() - before, *photograph.original_size, *photograph.image.shape)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc, which is Linux's")
@pytest.mark.parametrize(("extension", "limit_mb"), [("jpg", 60), ("png", 600)])
def test_a_hundred_megapixels_take_little_memory(tmp_path, extension, limit_mb):
    """12,000 x 9,000: 324 MB as plain bytes. A JPEG is never held whole; a PNG is, once (4 bytes a pixel)."""
    path = save(tmp_path / f"x.{extension}", Image.new("RGB", (12000, 9000), (200, 100, 50)))
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    peak_kb, *sizes = map(int, done.stdout.split())
    assert sizes == [9000, 12000, 3, 144, 192]
    assert peak_kb < limit_mb * 1024


# --- what is refused, each in one line that names the file


def refused(path) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read_image(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert isinstance(caught.value, ValueError)
    assert caught.value.path == path
    return caught.value.reason


def test_missing(tmp_path):
    assert refused(tmp_path / "gone.jpg") == "no such file"


def test_a_folder(tmp_path):
    assert "folder" in refused(tmp_path)


def test_empty(tmp_path):
    (tmp_path / "x.png").touch()
    assert "empty" in refused(tmp_path / "x.png")


def test_text(tmp_path):
    (tmp_path / "x.jpg").write_text("not a photograph")
    assert "not an image" in refused(tmp_path / "x.jpg")


def test_postscript_starts_no_interpreter(tmp_path):
    (tmp_path / "x.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n")
    assert "not an image" in refused(tmp_path / "x.eps")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    assert "not a regular file" in refused(tmp_path / "x.png")


def test_no_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "x.png", corners())

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", denied)
    assert refused(path) == "no permission to read it"


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp", "tif", "bmp", "ppm"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_truncated(tmp_path, extension, share):
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    path = save(tmp_path / f"x.{extension}", noise)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    reason = refused(path)
    assert "truncated" in reason or "not an image" in reason


@given(data=st.binary(min_size=1, max_size=400), kind=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]))
def test_any_damage_is_refused_or_read_never_worse(tmp_path_factory, data, kind):
    """Bytes overwritten somewhere in a sound file: a picture or an UnreadableImage, nothing else."""
    path = tmp_path_factory.mktemp("damaged") / "x"
    save(path, corners(), format=kind)
    whole = bytearray(path.read_bytes())
    start = sum(data) % len(whole)
    whole[start : start + len(data)] = data[: len(whole) - start]
    path.write_bytes(bytes(whole))
    try:
        photograph = read_image(path)
    except UnreadableImage:
        return
    assert photograph.image.shape[0] == 3
    assert min(photograph.image.shape[1:]) >= 32
    assert max(photograph.image.shape[1:]) <= 192
    assert torch.isfinite(photograph.image).all()


def test_damaged_exif_does_not_spoil_the_pixels(tmp_path):
    path = save(
        tmp_path / "x.jpg", corners(), quality=100, subsampling=0, exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff"
    )
    np.testing.assert_allclose(as_bytes(read_image(path).image), corners(), atol=3)
