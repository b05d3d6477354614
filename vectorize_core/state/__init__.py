"""What a client knows of an index, and waiting for its writes. Uses transport and layout."""
