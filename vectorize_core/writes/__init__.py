"""Writing any number of records, with an outcome for each. Uses reads and the rooms below."""
