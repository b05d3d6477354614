"""How well each mode of search finds what was asked for, on labelled questions.

make      the sets in benchmarks/retrieval/data, from Debian's documentation of Python and SQLite
measure   the figures: search by vectors, by words, and both, on the sets, with all-MiniLM-L6-v2
publish   the table and the picture of docs/hybrid.md
"""
