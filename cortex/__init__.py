"""The world: a bio-inspired visual cortex, from an image and theta to a :class:`Percept`."""

import torch

# Shares and affinities are softmaxes and exponentials: most of their entries are far below 1e-38. Processors work on such
# denormal numbers ten to thirty times slower, so they are flushed to zero.
torch.set_flush_denormal(True)

from cortex.model import Cortex as Cortex
from cortex.parameters import PARAMETERS as PARAMETERS
from cortex.parameters import default_theta as default_theta
from cortex.parameters import default_unit as default_unit
from cortex.parameters import from_unit as from_unit
from cortex.parameters import to_unit as to_unit
from cortex.percept import Cues as Cues
from cortex.percept import Percept as Percept
