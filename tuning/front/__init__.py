"""Ciliary: a visual cortex, or your own segmenter, accommodated to each image without labels.

    import ciliary

    seen = ciliary.accommodate("photo.jpg")
    seen.labels, seen.uncertainty

This is the package ``ciliary`` itself; its rooms ``cortex``, ``envs``, ``agents`` and ``tuning`` lie beside it in the
repository. Names are imported when they are first used (``__init__.pyi`` lists them): ``import ciliary`` waits for
nothing.
"""

import lazy_loader

_names, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms

        return version("ciliary")
    return _names(name)
