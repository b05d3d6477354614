"""``python -m benchmarks.engine make | measure | publish``."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import benchmarks.engine
from benchmarks import tables
from benchmarks.engine import (
    beside_peers,
    contended,
    goals,
    opening,
    publishing,
    real_text,
    searching,
    writing,
)
from benchmarks.engine.data import Corpus
from benchmarks.engine.results import Results
from benchmarks.engine.sizes import Sizes

PARTS = ("searching", "contended", "writing", "opening", "peers")


def make(root: Path, sizes: Sizes) -> None:
    """All rows, and all indexes of ours and of peers, so that nothing is made while measuring."""
    for part, size in sizes.parts().items():
        corpus = Corpus(root, size)
        print(f"{size}", flush=True)
        corpus.ours().close()
        if part in ("little", "middle"):
            for peer in beside_peers.make(corpus):
                peer.close()


def measure(root: Path, sizes: Sizes, wanted: list[str], results: Results) -> None:
    """Everything that is wanted, a concept at a time."""
    little, middle = Corpus(root, sizes.little), Corpus(root, sizes.middle)
    if "searching" in wanted:
        searching.measure(middle, "middle", results, rounds=41)
        searching.measure(Corpus(root, sizes.wide), "wide", results, rounds=21)
        searching.measure(Corpus(root, sizes.large), "large", results, rounds=21)
    if "contended" in wanted:
        contended.measure(middle, "middle", results)
        contended.measure(Corpus(root, sizes.large), "large", results)
    if "writing" in wanted:
        writing.measure(middle, results)
    if "opening" in wanted:
        opening.measure(Corpus(root, sizes.large), "large", results)
    if "peers" in wanted:
        beside_peers.measure(little, "little", results)
        beside_peers.measure(middle, "middle", results)
        beside_peers.judge(results)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine",
        description=benchmarks.engine.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("do", choices=("make", "measure", "publish"))
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "vectorize-stores-benchmarks",
        help="where vectors, indexes and results.json are kept (default: %(default)s)",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="0.01: a hundredth of the vectors")
    parser.add_argument("--only", default=",".join(PARTS), help="some of: %(default)s")
    parser.add_argument("--real", type=Path, help="a .npy file of embeddings, a row each")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="what is published into")
    given = parser.parse_args()
    sizes = Sizes().scaled(given.scale)
    kept = given.data / "results.json"
    if given.do == "make":
        make(given.data, sizes)
    elif given.do == "measure":
        if hasattr(os, "getloadavg"):
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        given.data.mkdir(parents=True, exist_ok=True)
        results = Results.resume(sizes, kept)
        try:
            measure(given.data, sizes, given.only.split(","), results)
            if given.real is not None:
                real_text.measure(given.real, given.data, results)
        finally:
            results.save(kept)
        print(f"\n{tables.markdown(('goal', 'figure', 'met'), goals.table(results))}\n\n{kept}")
    else:
        # Only this needs matplotlib.
        from benchmarks.engine import pictures  # noqa: PLC0415

        results = Results.load(kept)
        tables.fill(given.docs / "benchmarks.md", publishing.tables(results))
        pictures.draw(results, given.docs / "pictures")


if __name__ == "__main__":
    main()
