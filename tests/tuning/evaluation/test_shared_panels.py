"""Panels that are perceived once for all who look at an image."""

import numpy as np
import torch

from ciliary.cortex import PARAMETERS, Cortex, default_unit
from ciliary.envs.batch import make_batch
from ciliary.envs.objective.calibrated import CalibratedObjective
from ciliary.envs.objective.calibration import Calibration
from ciliary.envs.objective.terms import Objective
from ciliary.envs.objective.views import sample_views
from ciliary.tuning.evaluation.shared_panels import SharedPanels, shared_objective

FINE = default_unit()[0].numpy()


def test_panels_are_perceived_once_and_are_the_same(small_image):
    layers = ((np.ones((1, 1), np.float32), np.zeros(1, np.float32)),)
    one = np.ones(1, np.float32)
    model = Calibration(
        ("agreement.00",), 0 * one, one, layers, np.stack([FINE, -FINE]), FINE[None], parameters=PARAMETERS.names
    )
    cortex, shared, views = Cortex().eval(), SharedPanels(model), [sample_views(0, n_photometric=0, n_geometric=0)]
    first, again = (make_batch(cortex, shared, small_image, views).panel for _ in range(2))
    assert first is again
    assert shared.spared_seconds > 0
    alone = make_batch(cortex, CalibratedObjective(model), small_image, views).panel
    torch.testing.assert_close(first.masks, alone.masks)
    torch.testing.assert_close(first.promise, alone.promise)
    spared = shared.spared_seconds
    other = make_batch(cortex, shared, small_image.flip(-1), views).panel
    assert shared.spared_seconds == spared
    assert not torch.equal(other.masks, first.masks)


def test_only_the_latest_panels_are_kept(small_image):
    shared = shared_objective("calibrated", n_kept=1)
    layers = ((np.ones((1, 1), np.float32), np.zeros(1, np.float32)),)
    one, panel = np.ones(1, np.float32), shared.calibration.panel[:1]
    shared.calibration = Calibration(("agreement.00",), 0 * one, one, layers, panel, panel)  # one setting: quick
    cortex, views = Cortex().eval(), [sample_views(0, n_photometric=0, n_geometric=0)]
    first, second = small_image, small_image.flip(-1)
    kept = make_batch(cortex, shared, first, views).panel
    assert make_batch(cortex, shared, first.clone(), views).panel is kept
    make_batch(cortex, shared, second, views)
    assert make_batch(cortex, shared, first, views).panel is not kept
    assert type(shared_objective("raw")) is Objective
