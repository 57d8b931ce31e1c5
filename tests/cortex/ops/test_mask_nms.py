"""Which of overlapping masks are kept."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.ops.mask_nms import mask_iou, suppress


def bars(*spans: tuple[int, int], n: int = 10) -> torch.Tensor:
    masks = torch.zeros(1, len(spans), 1, n, dtype=torch.bool)
    for i, (start, end) in enumerate(spans):
        masks[0, i, 0, start:end] = True
    return masks


def test_overlaps_by_hand():
    iou = mask_iou(bars((0, 4), (2, 6), (7, 7)))
    assert iou[0, 0, 1] == pytest.approx(2 / 6)
    assert iou[0, 2].tolist() == [0, 0, 0]
    assert torch.equal(iou, iou.transpose(1, 2))


def test_the_higher_score_stays_and_what_it_hid_hides_nobody():
    masks = bars((0, 4), (1, 5), (2, 6))  # neighbours overlap by 3/5, the outer two by 2/6
    assert suppress(masks, torch.tensor([[0.9, 0.8, 0.7]])).tolist() == [[True, False, True]]
    assert suppress(masks, torch.tensor([[0.7, 0.9, 0.8]])).tolist() == [[False, True, False]]
    assert suppress(masks, torch.tensor([[0.9, 0.8, 0.7]]), max_iou=0.6).tolist() == [[True, True, True]]


def test_equal_scores_keep_the_first_and_empty_masks_go():
    masks = bars((0, 4), (0, 4), (5, 5))
    assert suppress(masks, torch.ones(1, 3)).tolist() == [[True, False, False]]


def test_images_do_not_meet():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(3, 6, 8, 8, generator=generator) > 0.4
    score = torch.rand(3, 6, generator=generator)
    together = suppress(masks, score, max_iou=0.3)
    assert torch.equal(
        together, torch.cat([suppress(masks[i : i + 1], score[i : i + 1], max_iou=0.3) for i in range(3)])
    )


def test_boxes_are_suppressed_as_torchvision_does():
    nms = pytest.importorskip("torchvision.ops").nms
    generator = torch.Generator().manual_seed(1)
    corner, side = (
        torch.randint(0, 20, (12, 2), generator=generator),
        torch.randint(3, 12, (12, 2), generator=generator),
    )
    masks = torch.zeros(1, 12, 32, 32, dtype=torch.bool)
    for i, ((x, y), (w, h)) in enumerate(zip(corner.tolist(), side.tolist(), strict=True)):
        masks[0, i, y : y + h, x : x + w] = True
    score = torch.rand(12, generator=generator)
    theirs = nms(torch.cat([corner, corner + side], 1).float(), score, 0.3)
    assert suppress(masks, score[None], max_iou=0.3)[0].nonzero()[:, 0].tolist() == sorted(theirs.tolist())


@pytest.mark.parametrize(("shape", "more"), [((1, 3), {}), ((1, 2), {"max_iou": 1.5})])
def test_what_does_not_go_together_is_named(shape, more):
    with pytest.raises(ValueError, match="expected"):
        suppress(bars((0, 1), (1, 2)), torch.ones(shape), **more)
