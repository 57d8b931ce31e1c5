"""Providers of image-only cues: relative depth and deep features, each behind one interface."""

from ciliary.cortex.cues.backbone import make_deep as make_deep
from ciliary.cortex.cues.base import BackboneUnavailable as BackboneUnavailable
from ciliary.cortex.cues.base import DeepProvider as DeepProvider
from ciliary.cortex.cues.base import DepthProvider as DepthProvider
from ciliary.cortex.cues.base import DepthUnavailable as DepthUnavailable
from ciliary.cortex.cues.depth import make_depth as make_depth
from ciliary.cortex.cues.models import make_backbone as make_backbone
from ciliary.cortex.cues.trunk import Trunk as Trunk
