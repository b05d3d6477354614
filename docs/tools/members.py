"""Puts constructors first, and what is inherited last. An extension of griffe."""

from __future__ import annotations

from typing import Any

import griffe


class Members(griffe.Extension):
    """Adds to a class with a constructor what it inherits, from its first base to its last.

    Pages would have that before the constructor otherwise, from the last base to the first.
    """

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Put the members of ``cls`` in order, in place."""
        every = dict(cls.members)
        for base in cls.mro():
            for name, member in base.members.items():
                if name not in every:
                    every[name] = griffe.Alias(name, member, parent=cls, inherited=True)
        if "__init__" in every:
            cls.members = {"__init__": every["__init__"], **every}
