"""The engine under the embedded Vectorize, beside what bounds it and beside its peers.

    python -m benchmarks.engine make        the data, once
    python -m benchmarks.engine measure     all figures, into results.json
    python -m benchmarks.engine publish     these, into the tables and pictures of docs/

Contenders take turns in one process, so that what else the machine does falls on all alike: read
the ratios. Each time is that of a whole call, from the query vector to ids, scores and what was
asked for. Peers are those that are installed. docs/benchmarks.md has more.
"""

import os

# Threads of OpenBLAS and OpenMP that have finished their part spin for some milliseconds before
# they sleep, on a processor that the next contender needs. These make them sleep at once; the
# work itself takes as long. Both are read when numpy and FAISS are loaded.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
