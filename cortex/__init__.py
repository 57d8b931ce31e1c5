"""The world: a bio-inspired visual cortex, from an image and theta to a :class:`Percept`."""

from ciliary.cortex.model import Cortex as Cortex
from ciliary.cortex.parameters import PARAMETERS as PARAMETERS
from ciliary.cortex.parameters import default_theta as default_theta
from ciliary.cortex.parameters import default_unit as default_unit
from ciliary.cortex.parameters import from_unit as from_unit
from ciliary.cortex.parameters import to_unit as to_unit
from ciliary.cortex.perceiver import Perceiver as Perceiver
from ciliary.cortex.perceivers import make_perceiver as make_perceiver
from ciliary.cortex.percept import Cues as Cues
from ciliary.cortex.percept import Percept as Percept
from ciliary.cortex.segmenters import SegmenterPerceiver as SegmenterPerceiver
