"""The embedded Vectorize over HTTP, for clients in any language; with D1 and Workers bindings.

A thin layer over `vectorize_core.local`; it also uses Starlette and uvicorn (extra ``server``).
"""

import importlib.util

if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None:
    raise ImportError(
        "the local server needs Starlette and uvicorn: pip install 'vectorize-stores[server]'"
    )

from vectorize_core.local.server.app import create_app
from vectorize_core.local.server.injected_faults import load_faults
from vectorize_core.local.server.settings import Settings
from vectorize_core.local.server.uvicorn_server import BackgroundServer, environment, serve

__all__ = [
    "BackgroundServer",
    "Settings",
    "create_app",
    "environment",
    "load_faults",
    "serve",
]

for _export in (BackgroundServer, Settings, create_app, environment, load_faults, serve):
    _export.__module__ = __name__
