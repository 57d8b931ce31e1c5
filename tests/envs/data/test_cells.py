"""Synthetic cells: the same from a seed, of all classes, and not to be told by their grey."""

from __future__ import annotations

import numpy as np
import torch

from ciliary.envs.data.cells import CLASSES, synthetic_cells


def test_a_seed_is_an_image():
    one, again, other = (synthetic_cells(seed, size_px=64) for seed in (3, 3, 4))
    assert torch.equal(one[0], again[0])
    assert np.array_equal(one[1], again[1])
    assert not np.array_equal(one[1], other[1])
    assert one[0].shape == (3, 64, 64)
    assert one[0].dtype == torch.float32
    assert 0 <= float(one[0].min()) <= float(one[0].max()) <= 1


def test_all_classes_are_there_and_nuclei_lie_in_cells():
    found = [synthetic_cells(seed, size_px=96)[1] for seed in range(6)]
    share = np.bincount(np.stack(found).ravel(), minlength=3) / np.stack(found).size
    assert len(share) == len(CLASSES)
    assert 0.6 < share[0] < 0.9
    assert 0.01 < share[2] < share[1]
    for labels in found:
        nucleus = labels == 2
        around = np.zeros_like(nucleus)
        around[1:-1, 1:-1] = nucleus[2:, 1:-1] | nucleus[:-2, 1:-1] | nucleus[1:-1, 2:] | nucleus[1:-1, :-2]
        beside = around & ~nucleus
        assert (labels[beside] == 1).mean() > 0.8


def test_grey_alone_does_not_tell_cytoplasm_from_ground():
    """The best threshold on an image's grey, which nobody knows, is little better than to say ground everywhere."""
    gained = []
    for seed in range(8):
        image, labels = synthetic_cells(seed, size_px=96)
        grey, truth = image.mean(0).numpy()[labels < 2], labels[labels < 2] == 1
        cuts = np.quantile(grey, np.linspace(0.02, 0.98, 25))
        right = max(max(((grey > cut) == truth).mean(), ((grey < cut) == truth).mean()) for cut in cuts)
        gained.append(right - max(truth.mean(), 1 - truth.mean()))
    assert np.mean(gained) < 0.05
