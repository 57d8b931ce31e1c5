"""Parvo and magno: the one is what the stages read, the other is silent before what stands still."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.motion.pathways import MagnoOut, Pathways, pathways_step, resting_state
from ciliary.cortex.motion.temporal import TemporalSettings
from ciliary.cortex.ops.smoothing import halve
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina

SETTINGS = TemporalSettings()


def seen(image):
    return retina(image, default_theta(len(image)))


def test_parvo_is_no_second_copy(small_image):
    answer = seen(small_image)
    parvo, _, _ = pathways_step(answer)
    assert parvo.opponent is answer.opponent
    torch.testing.assert_close(parvo.slow, halve(answer.opponent[:, :1]))


def test_a_scene_at_rest_is_nothing_to_magno(small_image):
    answer, state = seen(small_image), None
    for _ in range(3):
        _, magno, state = pathways_step(answer, state)
        assert magno.on_off.shape == (1, 2, 24, 32)
        assert torch.equal(magno.on_off, torch.zeros_like(magno.on_off))


def test_an_onset_is_answered_and_then_exactly_nothing(small_image):
    answer = seen(small_image)
    frame = halve(answer.opponent[:, 0])
    state, heights = resting_state(torch.zeros_like(frame), SETTINGS), []
    for _ in range(SETTINGS.n_taps + 2):
        parvo, magno, state = pathways_step(answer, state)
        heights.append(float(magno.on_off.max()))
    assert heights[0] > 0.05
    assert heights[-2:] == [0, 0]
    torch.testing.assert_close(parvo.slow, frame[:, None])


def test_on_and_off_are_the_two_signs_of_a_change():
    grey = torch.full((1, 3, 32, 32), 0.5)
    spots = grey.clone()
    spots[..., 8:12, 8:12], spots[..., 20:24, 20:24] = 1.0, 0.0
    _, _, state = pathways_step(seen(grey))
    _, magno, _ = pathways_step(seen(spots), state)
    on, off = magno.on_off[0]
    assert on[5, 5] > 0 == off[5, 5]
    assert off[11, 11] > 0 == on[11, 11]
    assert not bool((on * off).any())
    torch.testing.assert_close(magno.transient[0, 0], on - off)


def test_each_of_a_batch_by_itself_and_odd_sides(small_image):
    frames = [small_image[..., :47, :63].repeat(2, 1, 1, 1) * scale for scale in (1.0, 0.6)]
    frames[1] = torch.cat([frames[1][:1], frames[0][1:]])
    state = None
    for frame in frames:
        _, magno, state = pathways_step(seen(frame), state)
    assert magno.on_off.shape == (2, 2, 24, 32)
    assert magno.on_off[0].max() > 0
    assert not bool(magno.on_off[1].any())


def test_a_gradient_and_the_module(small_image):
    image = small_image.clone().requires_grad_()
    module = Pathways()
    _, _, state = module(seen(small_image * 0.5))
    _, magno, _ = module(seen(image), state)
    assert isinstance(magno, MagnoOut)
    magno.on_off.square().sum().backward()
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


def test_another_size_needs_a_new_start(small_image):
    _, _, state = pathways_step(seen(small_image))
    with pytest.raises(ValueError, match="start anew"):
        pathways_step(seen(small_image[..., :40, :]), state)
    with pytest.raises(ValueError, match="start anew"):
        pathways_step(seen(small_image), state, TemporalSettings(frame_ms=10.0))
