"""The service's calls as values, and what it would refuse; no I/O.

May use the vocabulary.
"""
