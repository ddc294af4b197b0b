"""The renderer: the compiled one, or its twin in Python where there is none."""

from typing import TYPE_CHECKING

from tallygate.exposition import render_python

if TYPE_CHECKING:
    from tallygate.exposition.render_python import Family, render
else:
    try:
        from tallygate.exposition.render_native import Family, render
    except ImportError:
        from tallygate.exposition.render_python import Family, render

IS_NATIVE = Family is not render_python.Family
"""Whether pages are rendered by compiled code, without the GIL."""

__all__ = ["IS_NATIVE", "Family", "render"]
