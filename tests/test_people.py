"""What people see: region covering of the defaults on the BSDS500 validation photographs (development data, slow)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from cortex import Cortex
from envs.reading import read_image

SIZE_PX = 192  # long side at which the cortex looks; scored at full size


def covering(labels: np.ndarray, people: list[np.ndarray]) -> float:
    """Mean over people of the area-weighted best IoU of their regions (Arbelaez et al. 2011)."""
    scores = []
    for truth in people:
        _, rows = np.unique(truth, return_inverse=True)
        joint = np.zeros((rows.max() + 1, labels.max() + 1))
        np.add.at(joint, (rows.ravel(), labels.ravel()), 1)
        area = joint.sum(1)
        iou = joint / (area[:, None] + joint.sum(0) - joint)
        scores.append((area * iou.max(1)).sum() / area.sum())
    return float(np.mean(scores))


def test_covering_by_hand():
    truth = np.array([[0, 0, 1, 1]])
    assert covering(truth, [truth]) == 1
    assert covering(np.zeros_like(truth), [truth]) == 0.5
    assert covering(np.array([[0, 0, 0, 1]]), [truth]) == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.slow
def test_the_defaults_agree_with_people(bsds_root):
    cortex, scores, blank = Cortex(), [], []
    for path in sorted((bsds_root / "images" / "val").glob("*.jpg")):
        photograph = read_image(path, SIZE_PX)
        drawn = loadmat(bsds_root / "groundTruth" / "val" / f"{path.stem}.mat")["groundTruth"][0]
        people = [one["Segmentation"][0, 0].astype(int) for one in drawn]
        with torch.no_grad():
            labels = cortex(photograph.image[None]).labels(photograph.original_size)[0].numpy()
        scores.append(covering(labels, people))
        blank.append(covering(np.zeros_like(labels), people))
    print(f"covering {np.mean(scores):.4f} on {len(scores)} photographs; one region {np.mean(blank):.4f}")
    assert len(scores) == 100
    assert np.mean(blank) == pytest.approx(0.313, abs=0.001)
    assert np.mean(scores) >= 0.52
