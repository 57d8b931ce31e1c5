"""The cortex's parameter table: one row a perceptual parameter, and nothing said twice.

A row added here is in the action space, the search, the command line, the tracking and the pages; the stage that it
acts in reads it as ``theta["name"]``. What was stored before has its default.
"""

from __future__ import annotations

from collections.abc import Mapping

from ciliary.cortex.table import Parameter as Parameter
from ciliary.cortex.table import ParameterTable as ParameterTable
from ciliary.cortex.table import Theta as Theta
from ciliary.cortex.table import repeat_theta as repeat_theta

# fmt: off
PARAMETERS = ParameterTable((
    # --- retina
    Parameter("adaptation_exponent", "retina", 0.4, 1.6, 0.54, "1", "linear", "Naka & Rushton 1966", "Exponent n of the light adaptation r^n/(r^n+s^n)."),
    Parameter("adaptation_sigma", "retina", 0.1, 4.0, 1.5, "mean luminance", "log", "Naka & Rushton 1966", "Semi-saturation, as a multiple of the image's mean light."),
    Parameter("blur_sigma_px", "retina", 0.3, 3.0, 0.68, "px", "log", "measured", "Blur before everything else (the optics of the eye)."),
    Parameter("surround_ratio", "retina", 1.5, 6.0, 3.0, "1", "log", "Croner & Kaplan 1995", "Surround size of the difference of Gaussians, in centre sizes."),
    Parameter("contrast_adaptation", "retina", 0.0, 1.0, 0.43, "1", "linear", "Carandini & Heeger 2012", "How far opponent contrast is brought to a common level: 0 not at all, 1 wholly."),
    # --- M1 perception
    Parameter("wavelength_px", "M1", 4.0, 12.0, 4.4, "px", "log", "De Valois et al. 1982", "Wavelength of the finest log-Gabor scale."),
    Parameter("bandwidth_octaves", "M1", 0.6, 2.5, 1.6, "octaves", "linear", "De Valois et al. 1982", "Half-height bandwidth of the log-Gabor filters."),
    Parameter("affinity_sigma", "M1", 0.03, 1.0, 0.14, "feature", "log", "Shi & Malik 2000", "Scale of the affinity w=exp(-d^2/2s^2) between neighbours."),
    Parameter("colour_weight", "M1", 0.2, 5.0, 2.4, "1", "log", "measured", "Weight of the chromatic channels beside luminance."),
    Parameter("texture_weight", "M1", 0.05, 5.0, 1.7, "1", "log", "measured", "Weight of oriented energy in features and affinities."),
    Parameter("position_weight", "M1", 0.02, 2.0, 0.16, "1", "log", "Achanta et al. 2012", "Weight of image position in the region features."),
    Parameter("depth_weight", "M1", 0.02, 3.0, 0.2, "1", "log", "measured", "Weight of the depth provider's map."),
    Parameter("backbone_weight", "M1", 0.02, 3.0, 0.17, "1", "log", "measured", "Weight of the backbone's feature maps (no effect without a backbone)."),
    Parameter("n_regions", "M1", 2.0, 12.0, 8.0, "regions", "int", "original notes (K=8)", "Number of soft k-means regions S1."),
    Parameter("region_temperature", "M1", 0.02, 1.0, 0.1, "feature^2", "log", "measured", "Temperature of the soft assignment to regions."),
    # --- M2 grouping
    Parameter("association_reach_px", "M2", 3.0, 16.0, 10.0, "px", "log", "Field, Hayes & Hess 1993", "Reach of the co-circular association field."),
    Parameter("completion_gain", "M2", 0.05, 4.0, 0.5, "1", "log", "Grossberg & Mingolla 1985", "Strength of contour completion across gaps."),
    Parameter("endstop_gain", "M2", 0.05, 4.0, 0.5, "1", "log", "Heitger et al. 1992", "Gain of end-stopped cells, which seed completion."),
    Parameter("barrier_gain", "M2", 0.5, 50.0, 1.4, "1", "log", "Perona & Malik 1990", "How strongly a contour stops diffusion."),
    Parameter("stabilisation_time_px2", "M2", 0.1, 4.0, 2.0, "px^2", "log", "Perona & Malik 1990", "Diffusion time of log S1 into S2."),
    Parameter("taught_share", "M2", 0.0, 1.0, 0.9, "1", "linear", "measured", "Share of the contour that is what people would draw (no effect without contours that people taught)."),
    # --- M3 invariance
    Parameter("texture_pool_px", "M3", 2.0, 16.0, 4.4, "px", "log", "Portilla & Simoncelli 2000", "Integration scale of the local energy statistics."),
    Parameter("region_weight", "M3", 0.02, 2.0, 0.97, "1", "log", "measured", "Weight of the stabilised regions S2 in the patches' cues."),
    Parameter("patch_compactness", "M3", 0.002, 0.2, 0.017, "1", "log", "Achanta et al. 2012", "Weight of position in the patches the slots are made of."),
    Parameter("n_slots", "M3", 2.0, 32.0, 32.0, "slots", "int", "measured", "Number of slots the image may occupy."),
    Parameter("linkage_exponent", "M3", 0.0, 1.2, 0.52, "1", "linear", "Ward 1963 (1.0)", "Size exponent of the merging cost: 0 is centroid linkage, 1 is Ward's."),
    Parameter("slot_temperature", "M3", 0.02, 2.0, 0.043, "distance", "log", "measured", "Temperature of the soft assignment to slots."),
    Parameter("geodesic_weight", "M3", 0.02, 4.0, 0.5, "1", "log", "Bai & Sapiro 2009", "Weight of the geodesic distance beside the feature distance."),
    Parameter("geodesic_barrier_weight", "M3", 0.02, 4.0, 0.5, "1", "log", "Bai & Sapiro 2009", "Weight of the barrier in geodesic steps and in the merging of patches."),
    Parameter("inhibition_gain", "M3", 0.01, 2.0, 0.2, "1", "log", "Hartline & Ratliff 1957", "Lateral inhibition between slots."),
    # --- M4 proto-objects
    Parameter("merge_threshold", "M4", 0.02, 2.0, 0.15, "cost", "log", "measured", "Cost up to which slots merge into proto-objects."),
    Parameter("threshold_adaptation", "M4", 0.0, 1.0, 0.48, "1", "linear", "measured", "How far the threshold follows the image's own costs: 0 is absolute, 1 a count."),
    Parameter("expected_objects", "M4", 2.0, 16.0, 8.6, "objects", "linear", "measured", "Number of objects at whose last merge the image's own cost is read."),
    Parameter("merge_temperature", "M4", 0.02, 1.0, 0.15, "log cost", "log", "measured", "Softness of the merging decision."),
    Parameter("closure_weight", "M4", 0.05, 10.0, 0.33, "1", "log", "Elder & Zucker 1993", "Weight of the contour between two slots in merging cost and objectness."),
    Parameter("contrast_weight", "M4", 0.05, 10.0, 1.0, "1", "log", "Alexe et al. 2012", "Weight of the feature contrast in objectness."),
    Parameter("variance_weight", "M4", 0.05, 10.0, 1.0, "1", "log", "Alexe et al. 2012", "Weight of the inner variance in objectness."),
))
# fmt: on

#: Defaults that differ where stages are inherited, by kind: chosen for ``contours`` on 40 BSDS500 training images, whose
#: contours came from networks that had not seen them; ``all`` takes the same.
INHERITED_DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "contours": {"merge_threshold": 0.25, "threshold_adaptation": 0.1},
    "all": {"merge_threshold": 0.25, "threshold_adaptation": 0.1},
}
#: How far looks that are put together stray from the defaults, in u: what people taught needs less of it. Chosen on 20
#: of the training images, clean and in four disturbances, among 0.06, 0.12 and 0.25.
LOOK_SPREADS: Mapping[str, float] = {"none": 0.25, "contours": 0.12, "all": 0.12}
_TABLES = {"none": PARAMETERS} | {
    kind: PARAMETERS.with_defaults(**values) for kind, values in INHERITED_DEFAULTS.items()
}


def table_for(inherited: str = "none") -> ParameterTable:
    """The table of a cortex that inherits so much; the same parameters and ranges, other defaults.

    Raises:
        ValueError: an unknown kind of inheritance.
    """
    if inherited not in _TABLES:
        raise ValueError(f"unknown kind of inheritance {inherited!r}; choose from {', '.join(_TABLES)}")
    return _TABLES[inherited]


from_unit = PARAMETERS.from_unit
to_unit = PARAMETERS.to_unit
default_theta = PARAMETERS.default_theta
default_unit = PARAMETERS.default_unit
check_theta = PARAMETERS.check_theta

#: Columns of settings that version 0.1 stored without names, in their order. Frozen: do not follow the table.
COLUMNS_V0: tuple[str, ...] = (
    "adaptation_exponent",
    "adaptation_sigma",
    "blur_sigma_px",
    "surround_ratio",
    "contrast_adaptation",
    "wavelength_px",
    "bandwidth_octaves",
    "affinity_sigma",
    "colour_weight",
    "texture_weight",
    "position_weight",
    "depth_weight",
    "backbone_weight",
    "n_regions",
    "region_temperature",
    "association_reach_px",
    "completion_gain",
    "endstop_gain",
    "barrier_gain",
    "stabilisation_time_px2",
    "texture_pool_px",
    "region_weight",
    "patch_compactness",
    "n_slots",
    "linkage_exponent",
    "slot_temperature",
    "geodesic_weight",
    "geodesic_barrier_weight",
    "inhibition_gain",
    "merge_threshold",
    "threshold_adaptation",
    "expected_objects",
    "merge_temperature",
    "closure_weight",
    "contrast_weight",
    "variance_weight",
)
