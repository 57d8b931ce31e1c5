"""Segmentation functions as perceivers: scikit-image's by name, or any of your own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
