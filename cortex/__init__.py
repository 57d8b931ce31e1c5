"""The world: a bio-inspired visual cortex, from an image and theta to a :class:`Percept`, and other perceivers.

Names are imported when they are first used (``__init__.pyi`` lists them), so that the command line can ask this room
what there is, and a worker process segment, without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
