from .perceiver import SegmenterPerceiver as SegmenterPerceiver
from .percept import LabelPercept as LabelPercept
from .shipped import SEGMENTERS as SEGMENTERS
