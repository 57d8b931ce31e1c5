"""Providers of image-only cues: relative depth and deep features, each behind one interface."""

from cortex.providers.backbone import make_backbone as make_backbone
from cortex.providers.backbone import make_deep as make_deep
from cortex.providers.base import BackboneProvider as BackboneProvider
from cortex.providers.base import BackboneUnavailable as BackboneUnavailable
from cortex.providers.base import DepthProvider as DepthProvider
from cortex.providers.base import DepthUnavailable as DepthUnavailable
from cortex.providers.depth import make_depth as make_depth
