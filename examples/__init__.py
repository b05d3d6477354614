"""Runnable examples, and the embedder they share."""
