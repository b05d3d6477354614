"""``python -m vectorize_core.cli``, where the command itself is not on the path."""

from vectorize_core.cli import main

main()
