"""Ciliary: a visual cortex, or your own segmenter, accommodated to each image without labels.

    import ciliary

    seen = ciliary.accommodate("photo.jpg")
    seen.labels, seen.uncertainty

This is the package ``ciliary`` itself; its rooms ``cortex``, ``envs``, ``agents`` and ``tuning`` lie beside it in the
repository. Names are imported when they are first used (``__init__.pyi`` lists them): ``import ciliary`` waits for
nothing. The first use lets idle threads of torch sleep soon, unless torch is there already or ``OMP_WAIT_POLICY`` is
set: those that spin took an episode beside another busy program twenty times as long.
"""

import sys

import lazy_loader

_names, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms

        return version("ciliary")
    if "torch" not in sys.modules and name in __all__:
        from ciliary.tuning.cli.processor import be_patient  # a notebook beside others has no program to ask for it

        be_patient()
    return _names(name)
