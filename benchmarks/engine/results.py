"""What was measured, as values that go into a file and come out of it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Self

from benchmarks.engine.sizes import Sizes

_NAMED = (
    "numpy",
    "simsimd",
    "numkong",
    "faiss-cpu",
    "chromadb",
    "qdrant-client",
    "sqlite-vec",
    "lancedb",
)


def versions() -> dict[str, str]:
    """What the figures depend on."""
    found = {"Python": platform.python_version(), "processors": str(os.cpu_count())}
    for name in _NAMED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a contender takes, in milliseconds, and how many times as long as the first."""

    name: str
    ms: float
    best: float
    p99: float
    cpu: float
    ratio: float
    cpu_ratio: float
    recall: float | None = None
    """Of the nearest, how many it finds, if it may miss some."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number; ``note`` says where it comes from, if there are several."""

    value: float
    note: str = ""


@dataclass(slots=True)
class Results:
    """Figures by their keys, and the rounds that they come from, by theirs."""

    sizes: dict[str, str]
    """What the parts in keys stand for, such as "large" for "1,000,000 x 384"."""
    figures: dict[str, Figure] = field(default_factory=dict)
    rounds: dict[str, list[Timing]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)

    @classmethod
    def resume(cls, sizes: Sizes, path: Path) -> Self:
        """What was measured of these sizes before, so that a part can be measured again."""
        parts = {part: str(size) for part, size in sizes.parts().items()}
        if path.exists():
            found = cls.load(path)
            if found.sizes == parts:
                found.versions = versions()
                return found
        return cls(parts)

    def put(self, key: str, value: float, note: str = "") -> None:
        """Note a figure, and print it."""
        self.figures[key] = Figure(value, note)
        print(f"- {key}: {value:.4g}{f' ({note})' if note else ''}", flush=True)

    def save(self, path: Path) -> None:
        """Write all into a file."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` has written."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            found["sizes"],
            {key: Figure(**figure) for key, figure in found["figures"].items()},
            {key: [Timing(**row) for row in rows] for key, rows in found["rounds"].items()},
            found["versions"],
        )
