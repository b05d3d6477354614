"""The command ``vectorize-stores``. Needs the extra ``cli``; nothing else imports this package."""

from __future__ import annotations

import importlib.util
import io
import sys


def main() -> None:
    """Run the command; without the extra, say how to get it and exit with 2."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"Error: the command vectorize-stores needs {' and '.join(missing)}: "
            "pip install 'vectorize-stores[cli]'\n"
        )
        sys.exit(2)
    # Here and not above: the line before is for those who do not have them.
    from vectorize_core.cli.app import app  # noqa: PLC0415

    for stream in (sys.stdout, sys.stderr):
        # An id or a text that the terminal's encoding lacks is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="vectorize-stores")
