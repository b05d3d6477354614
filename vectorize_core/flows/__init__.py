"""Work that takes more than one call, written once for both faces."""
