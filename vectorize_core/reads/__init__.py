"""Reading past the caps of one answer: by id, by search, by filter.

May use state, filters and below.
"""
