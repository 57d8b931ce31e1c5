"""Segmentation functions as perceivers: scikit-image's by name, or any of your own."""

from ciliary.cortex.segmenters.perceiver import SegmenterPerceiver as SegmenterPerceiver
from ciliary.cortex.segmenters.percept import LabelPercept as LabelPercept
from ciliary.cortex.segmenters.shipped import SEGMENTERS as SEGMENTERS
