"""Files of SQLite: how they are opened, shared by threads and processes, and what goes wrong."""
