"""The world: a bio-inspired visual cortex, from an image and theta to a :class:`Percept`."""

from cortex.model import Cortex as Cortex
from cortex.parameters import PARAMETERS as PARAMETERS
from cortex.parameters import default_theta as default_theta
from cortex.parameters import default_unit as default_unit
from cortex.parameters import from_unit as from_unit
from cortex.parameters import to_unit as to_unit
from cortex.percept import Cues as Cues
from cortex.percept import Percept as Percept
