"""``python -m benchmarks.retrieval make | measure | publish``."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import benchmarks.retrieval
from benchmarks import tables
from benchmarks.retrieval import making, measuring, publishing
from benchmarks.retrieval.embedding import Remembered
from benchmarks.retrieval.labelled import SETS, LabelledSet


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval",
        description=benchmarks.retrieval.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("do", choices=("make", "measure", "publish"))
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(tempfile.gettempdir()) / "vectorize-stores-retrieval",
        help="where vectors and results.json are kept (default: %(default)s)",
    )
    parser.add_argument("--only", default=",".join(SETS), help="some of: %(default)s")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="what is published into")
    parser.add_argument(
        "--sources", type=Path, default=Path("/"), help="what make reads: see data/README.md"
    )
    given = parser.parse_args()
    kept: Path = given.data / "results.json"
    wanted = given.only.split(",")
    if given.do == "make":
        for name in making.SOURCES.keys() & wanted:
            labelled = making.SOURCES[name](given.sources)
            documents, queries = len(labelled.documents), len(labelled.queries)
            print(f"{labelled.save()}: {documents} documents, {queries} queries")
    elif given.do == "measure":
        embeddings = Remembered(given.data / "minilm.npz")
        places = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        for name in wanted:
            places[name] = measuring.measure(LabelledSet.load(name), embeddings)
            embeddings.save()
            print(f"{publishing.tables({name: places[name]})[f'retrieval_{name}']}\n", flush=True)
        kept.write_text(json.dumps(places), encoding="utf-8")
        made = publishing.tables(places)
        print(f"{made['retrieval_kinds']}\n\n{made['retrieval_goals']}\n\n{kept}")
    else:
        places = json.loads(kept.read_text(encoding="utf-8"))
        tables.fill(given.docs / "hybrid.md", publishing.tables(places))
        publishing.draw(places, given.docs / "pictures" / "hybrid.svg")


if __name__ == "__main__":
    main()
