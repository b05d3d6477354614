"""A page in the browser that shows the indexes of a Vectorize, and what happens there.

It uses Starlette (extra ``server``). ``vectorize-stores open`` and ``serve`` show it: docs/page.md.
"""

import importlib.util

if importlib.util.find_spec("starlette") is None:
    raise ImportError("the page needs Starlette: pip install 'vectorize-stores[server]'")

from vectorize_core.page.app import create_page

__all__ = ["create_page"]

create_page.__module__ = __name__
