from .percept import LabelPercept as LabelPercept
from .perceiver import SegmenterPerceiver as SegmenterPerceiver
from .shipped import SEGMENTERS as SEGMENTERS
