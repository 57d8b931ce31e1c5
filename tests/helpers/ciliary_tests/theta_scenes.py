"""Settings for scenes whose answer is known: fixed, so that tuning the defaults moves no test."""

from __future__ import annotations

from ciliary.cortex.parameters import Theta, default_theta

SETTINGS: dict[str, float] = {
    "adaptation_exponent": 0.8,
    "adaptation_sigma": 1.0,
    "blur_sigma_px": 0.6,
    "surround_ratio": 3.0,
    "contrast_adaptation": 0.0,
    "wavelength_px": 4.0,
    "bandwidth_octaves": 1.4,
    "affinity_sigma": 0.2,
    "colour_weight": 1.0,
    "texture_weight": 1.0,
    "position_weight": 0.3,
    "depth_weight": 0.2,
    "backbone_weight": 0.7,
    "n_regions": 8.0,
    "region_temperature": 0.1,
    "association_reach_px": 8.0,
    "completion_gain": 0.5,
    "endstop_gain": 0.5,
    "barrier_gain": 2.0,
    "stabilisation_time_px2": 2.0,
    "texture_pool_px": 6.0,
    "region_weight": 0.1,
    "patch_compactness": 0.02,
    "n_slots": 28.0,
    "linkage_exponent": 0.6,
    "slot_temperature": 0.05,
    "geodesic_weight": 0.5,
    "geodesic_barrier_weight": 0.4,
    "inhibition_gain": 0.2,
    "merge_threshold": 0.17,
    "threshold_adaptation": 0.0,
    "expected_objects": 8.0,
    "merge_temperature": 0.15,
    "closure_weight": 0.4,
    "contrast_weight": 1.0,
    "variance_weight": 1.0,
}


def scene_theta(batch: int = 1, **changes: float) -> Theta:
    """:data:`SETTINGS` for a batch; keyword arguments replace single values."""
    return default_theta(batch, **{**SETTINGS, **changes})
