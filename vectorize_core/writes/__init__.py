"""Writing any number of records, with an outcome for each. May use reads and below."""
