"""Who carries operations out: over HTTP, or in this process."""
