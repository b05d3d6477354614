"""What the stores of both frameworks do with records. Uses all of the core but cli."""
