"""What people see: region covering of the defaults on the BSDS500 validation photographs (development data, slow)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.envs.data.labelled import read_bsds
from ciliary.envs.data.reading import read_image
from ciliary.envs.metrics.regions import region_covering

SIZE_PX = 192  # long side at which the cortex looks; scored at full size


@pytest.mark.slow
def test_the_defaults_agree_with_people(bsds_root):
    cortex, scores, blank = Cortex(), [], []
    for entry in read_bsds(bsds_root, "val"):
        photograph, people = read_image(entry.path, SIZE_PX), entry.people
        with torch.no_grad():
            labels = cortex(photograph.image[None]).labels(photograph.original_size)[0].numpy()
        scores.append(region_covering(labels, people))
        blank.append(region_covering(np.zeros_like(labels), people))
    print(f"covering {np.mean(scores):.4f} on {len(scores)} photographs; one region {np.mean(blank):.4f}")
    assert len(scores) == 100
    assert np.mean(blank) == pytest.approx(0.313, abs=0.001)
    assert np.mean(scores) >= 0.52
