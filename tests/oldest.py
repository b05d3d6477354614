"""Constraints for pip: of each thing that users install with this, the oldest that is allowed."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

_OF_TESTS: Final = ("dev", "foreign-tests", "page-tests")


def main() -> None:
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    lists = [project["dependencies"], *(extras[name] for name in extras if name not in _OF_TESTS)]
    for requirement in [each for some in lists for each in some]:
        if requirement.startswith(f"{project['name']}["):
            continue
        bound = re.match(r"([\w.-]+)(?:\[\w+\])?[>=]=([\d.]+)", requirement)
        if bound is None:
            sys.exit(f"pyproject.toml does not say how old this may be: {requirement}")
        sys.stdout.write("{}=={}\n".format(*bound.groups()))


if __name__ == "__main__":
    main()
