"""Writing any number of records, each accounted for. Uses reads and what these use."""
