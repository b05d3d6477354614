"""What the stores of both frameworks do with records. May use all but cli."""
