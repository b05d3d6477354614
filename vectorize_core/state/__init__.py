"""What a client knows of an index, and waiting for its writes.

May use transport, layout and below.
"""
