"""One database of Cloudflare D1 on SQLite: what may be said, what it may take, what comes back."""
