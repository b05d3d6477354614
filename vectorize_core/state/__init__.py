"""What a client knows of an index, and waiting until its writes are seen. Uses transport and layout."""
