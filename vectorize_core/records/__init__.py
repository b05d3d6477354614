"""What the stores of both frameworks do with records, a file for each kind of it."""
