"""Everything about rendering is asked of both renderers."""

from types import ModuleType

import pytest

from tallygate.exposition import render_native, render_python


@pytest.fixture(params=[render_native, render_python], ids=["native", "python"])
def renderer(request: pytest.FixtureRequest) -> ModuleType:
    """A module with ``Family`` and ``render``."""
    module = request.param
    assert isinstance(module, ModuleType)
    return module
