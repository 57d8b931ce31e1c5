"""What tests of scripts share: the script as a module."""

import pytest

from ciliary_tests.loading import load_script


@pytest.fixture(scope="module")
def script(request):
    """The script that the test module names as ``SCRIPT``, imported."""
    return load_script(request.module.SCRIPT.stem)
