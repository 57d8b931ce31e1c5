"""Accommodation as an estimator of scikit-learn: ``fit`` on labelled images, ``predict`` label maps."""

from ciliary.tuning.estimator.scores import image_scores as image_scores
from ciliary.tuning.estimator.segmenter import CiliarySegmenter as CiliarySegmenter
