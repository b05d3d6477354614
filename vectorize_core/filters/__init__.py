"""Metadata filters."""
