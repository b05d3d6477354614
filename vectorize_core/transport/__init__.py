"""Carrying out one call, sync and async, with retries and a rate limit. May use api and below."""
