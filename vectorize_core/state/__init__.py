"""What is known of an index, and waiting until its writes are seen. Uses transport and layout."""
