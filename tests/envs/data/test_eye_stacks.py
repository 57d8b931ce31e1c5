"""Focus stacks, exposure stacks, frames in time, Radiance pictures: made here, and real ones where there are some."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from ciliary.cortex.stages.retina import linear_to_srgb, srgb_to_linear
from ciliary.envs.data.active.radiance import hdr_scene, read_radiance
from ciliary.envs.data.active.stacks import read_exposure_stack, read_focus_stack, read_video
from ciliary.envs.data.reading import UnreadableImage

SIZE = (36, 48)


def write_frame(path, values, *, seconds=None, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.broadcast_to(np.asarray(values, dtype=np.uint8), (*size, 3))
    exif = Image.Exif()
    if seconds is not None:
        exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExposureTime: seconds}
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif)


def make_stack(folder, n=3, **options):
    for i in range(n):
        write_frame(folder / f"step{i + 8}.png", 60 * i, **options)


def test_a_focus_stack_shows_its_frames_and_mixes_between(tmp_path):
    make_stack(tmp_path / "s")
    stack = read_focus_stack(tmp_path / "s")
    assert stack.focus_dpt.tolist() == [0.0, 5.0, 10.0]
    assert "evenly" in stack.notes[0]
    assert stack.frames[:, 0, 0, 0].tolist() == sorted(stack.frames[:, 0, 0, 0].tolist())  # step8, step9, step10
    seen = stack.retinal_image(torch.tensor([0.0, 5.0, 10.0, -1.0, 12.0]))
    torch.testing.assert_close(seen, stack.frames[[0, 1, 2, 0, 2]])
    between = stack.retinal_image(torch.tensor([2.5]))[0]
    torch.testing.assert_close(between, (stack.frames[0] + stack.frames[1]) / 2)


def test_its_focus_has_a_gradient(tmp_path):
    make_stack(tmp_path / "s")
    focus = torch.tensor([2.0], requires_grad=True)
    stack = read_focus_stack(tmp_path / "s")
    stack.retinal_image(focus).mean().backward()
    assert float(focus.grad) == pytest.approx(float((stack.frames[1] - stack.frames[0]).mean()) / 5, rel=1e-4)


def test_marks_order_the_frames(tmp_path):
    make_stack(tmp_path / "s")
    (tmp_path / "s" / "focus.txt").write_text("4 2 1.5\n")
    stack = read_focus_stack(tmp_path / "s")
    assert stack.focus_dpt.tolist() == [1.5, 2.0, 4.0]
    assert float(stack.frames[2].max()) == 0  # step8 is black and the nearest
    assert stack.notes == ()


@pytest.mark.parametrize("text", ["1 2", "1 3 2", "a b c", "1 2 nan"])
def test_marks_that_cannot_be(tmp_path, text):
    make_stack(tmp_path / "s")
    (tmp_path / "s" / "focus.txt").write_text(text)
    with pytest.raises(ValueError, match=r"focus\.txt: expected"):
        read_focus_stack(tmp_path / "s")


def test_complaints_of_frames(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        read_focus_stack(tmp_path / "nowhere")
    make_stack(tmp_path / "one", 1)
    for read in (read_focus_stack, read_exposure_stack, read_video):
        with pytest.raises(ValueError, match="2 frames or more of one scene, got 1"):
            read(tmp_path / "one")
    make_stack(tmp_path / "s", 2)
    write_frame(tmp_path / "s" / "step99.png", 1, size=(40, 50))
    with pytest.raises(ValueError, match=r"step99\.png: is 50x40 px but step8\.png is 48x36"):
        read_focus_stack(tmp_path / "s")
    (tmp_path / "s" / "step99.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage):
        read_focus_stack(tmp_path / "s")


def test_an_exposure_stack_gives_back_the_light(tmp_path):
    light = torch.logspace(-2, 1.5, SIZE[1]).expand(3, *SIZE)  # 3.5 decades
    for i, seconds in enumerate((1 / 64, 1 / 8, 1.0)):  # 1/64 of the brightest is .49
        frame = (linear_to_srgb((light * seconds).clamp(0, 1)) * 255).round()
        write_frame(tmp_path / "e" / f"{i}.png", frame.permute(1, 2, 0).numpy(), seconds=seconds)
    stack = read_exposure_stack(tmp_path / "e")
    assert stack.exposure_s.tolist() == pytest.approx([1.0, 1 / 8, 1 / 64])
    scene = stack.merge()
    torch.testing.assert_close(scene.light, light / 8, rtol=0.08, atol=1e-4)
    assert len(scene.layers()) == 1


def test_what_no_exposure_shows_is_taken_from_the_ends(tmp_path):
    write_frame(tmp_path / "e" / "a.png", 255, seconds=0.5)
    write_frame(tmp_path / "e" / "b.png", 255, seconds=0.25)
    white = read_exposure_stack(tmp_path / "e").merge().light
    torch.testing.assert_close(white, torch.ones_like(white))  # at least white in the shortest, which is the middle one
    write_frame(tmp_path / "e" / "a.png", 0, seconds=0.5)
    write_frame(tmp_path / "e" / "b.png", 0, seconds=0.25)
    assert float(read_exposure_stack(tmp_path / "e").merge().light.abs().max()) == 0


def test_exposures_must_be_known_and_differ(tmp_path):
    make_stack(tmp_path / "none")
    with pytest.raises(ValueError, match=r"step8\.png: no ExposureTime in its EXIF"):
        read_exposure_stack(tmp_path / "none")
    make_stack(tmp_path / "same", seconds=0.5)
    with pytest.raises(ValueError, match="every frame at another exposure"):
        read_exposure_stack(tmp_path / "same")


def test_a_video_is_its_frames_in_order(tmp_path):
    make_stack(tmp_path / "v", 3)
    video = read_video(tmp_path / "v", width_deg=12.0)
    assert [scene.name for scene in video] == ["v/step8", "v/step9", "v/step10"]
    assert video[0].px_per_deg == 4.0


def rgbe(light):
    """The four bytes of a colour, by hand."""
    exponent = int(np.frexp(max(light))[1])
    return [*(int(value / 2.0**exponent * 256) for value in light), exponent + 128]


def write_hdr(path, pixels, *, head="", order="-Y {h} +X {w}", is_coded=False):
    h, w = pixels.shape[:2]
    body = b""
    if is_coded:
        for row in pixels.astype(np.uint8):
            body += bytes([2, 2, w >> 8, w & 255])
            for channel in row.T:
                body += bytes([128 + w - 2, int(channel[0]), 2, *channel[-2:].tolist()])
    else:
        body = pixels.astype(np.uint8).tobytes()
    head = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n{head}\n{order.format(h=h, w=w)}\n"
    path.write_bytes(head.encode() + body)


@pytest.mark.parametrize("is_coded", [False, True])
def test_a_radiance_picture_is_read(tmp_path, is_coded):
    colours = [(1.0, 0.5, 0.25), (3000.0, 100.0, 20.0), (1e-3, 2e-3, 0.0), (0.0, 0.0, 0.0)]
    rows = np.array([[rgbe(c) if max(c) > 0 else [0, 0, 0, 0]] * 9 + [rgbe((2.0, 2.0, 2.0))] for c in colours])
    write_hdr(tmp_path / "a.hdr", rows, is_coded=is_coded)
    light = read_radiance(tmp_path / "a.hdr")
    assert light.shape == (3, 4, 10)
    torch.testing.assert_close(light[:, :, 0].T, torch.tensor(colours), rtol=0.01, atol=10.0)
    torch.testing.assert_close(light[:, 0, 0], torch.tensor([1.0, 0.5, 0.25]))
    torch.testing.assert_close(light[:, :, 9], torch.full((3, 4), 2.0))
    write_hdr(tmp_path / "b.hdr", rows, head="EXPOSURE= 2.0\n", is_coded=is_coded)
    torch.testing.assert_close(read_radiance(tmp_path / "b.hdr"), light / 2)


def test_its_scene_has_middle_grey_in_the_middle(tmp_path):
    write_hdr(tmp_path / "a.hdr", np.full((40, 60, 4), [128, 128, 128, 140]))
    scene = hdr_scene(tmp_path / "a.hdr", long_side_px=30)
    torch.testing.assert_close(scene.light, torch.full((3, 20, 30), 0.18))
    write_hdr(tmp_path / "black.hdr", np.zeros((4, 4, 4)))
    with pytest.raises(UnreadableImage, match="black everywhere"):
        hdr_scene(tmp_path / "black.hdr")


def test_complaints_of_radiance(tmp_path):
    path = tmp_path / "a.hdr"
    with pytest.raises(UnreadableImage, match="No such file"):
        read_radiance(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(UnreadableImage, match="no Radiance picture"):
        read_radiance(path)
    pixels = np.full((4, 10, 4), 130)
    write_hdr(path, pixels, order="+Y {h} +X {w}")
    with pytest.raises(UnreadableImage, match=r"-Y height \+X width"):
        read_radiance(path)
    for is_coded in (False, True):
        write_hdr(path, pixels, is_coded=is_coded)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(UnreadableImage, match="cut short"):
            read_radiance(path)
    path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n0000")
    with pytest.raises(UnreadableImage, match="XYZE"):
        read_radiance(path)


@pytest.mark.slow
def test_real_stacks_and_pictures(data_root):
    active = data_root / "active"
    for name, n in (("pcb10", 10), ("pcb7", 7), ("ring6", 6)):
        stack = read_focus_stack(active / "stacks" / name, long_side_px=256)
        assert len(stack.frames) == n
        sharp = (stack.frames.diff(dim=-1) ** 2).mean((1, 2, 3))
        assert float(sharp.max() / sharp.min()) > 1.2
    exposures = read_exposure_stack(active / "stacks" / "exposure7", long_side_px=160)
    assert exposures.exposure_s.tolist() == pytest.approx([2, 1 / 2, 1 / 8, 1 / 30, 1 / 125, 1 / 1000, 1 / 4000])
    light = exposures.merge().light
    assert float(light.quantile(0.999) / light.quantile(0.01)) > 1e3
    for name in ("bottles", "church"):
        scene = hdr_scene(active / "hdr" / f"{name}.hdr", long_side_px=256)
        assert float(scene.light.max() / scene.light.median()) > 10
    video = read_video(active / "video", long_side_px=128)
    assert len(video) == 24
    assert not torch.equal(video[0].light, video[1].light)
    assert torch.equal(srgb_to_linear(linear_to_srgb(video[0].light)) > 0.5, video[0].light > 0.5)
