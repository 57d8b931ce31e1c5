"""The exam's own example sits the exam as it stands in the docstring."""

import sys
import textwrap
import types

from ciliary.testing import controller as exam


def _blocks() -> list[str]:
    """The indented blocks of the docstring."""
    text = (exam.__doc__ or "").split("\n\n\n")[0]
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("    ") or (not line and blocks[-1]):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [textwrap.dedent("\n".join(block)) for block in blocks if block]


def _module(name: str, source: str) -> types.ModuleType:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, f"{name}.py", "exec"), vars(module))
    return module


_WALKER, _TEST = _blocks()
_module("walker", _WALKER)
TestWalker = _module("test_walker", _TEST).TestWalker
