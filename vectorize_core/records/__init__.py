"""What the stores of both frameworks do with records. Uses all rooms but cli; no framework."""
