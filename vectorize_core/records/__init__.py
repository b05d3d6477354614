"""What the stores of both frameworks do with records. May use texts and below."""
