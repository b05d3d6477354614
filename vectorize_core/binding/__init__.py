"""The bindings of a Cloudflare Worker as executors: ``env.VECTORIZE`` and ``env.DB``.

Nothing here opens a connection, starts a thread or imports SQLite: a binding is called in place.
"""
