"""The command ``vectorize-stores``. Nothing imports this room, and it may use all of the core.

It needs the extra ``cli``, and ``serve`` the extra ``server``.
"""

from __future__ import annotations

import importlib.util
import io
import sys


def main() -> None:
    """Run the command. Without the extra, print how to install it and exit with 2."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"Error: the command vectorize-stores needs {' and '.join(missing)}: "
            "pip install 'vectorize-stores[cli]'\n"
        )
        sys.exit(2)
    # Not at the top of the file, which must be read where they are missing.
    from vectorize_core.cli.app import app  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        # So that an id or text which the terminal's encoding lacks is printed nevertheless.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="vectorize-stores")
