"""The tour of demo.py against Cloudflare: ``python -m examples.cloudflare``.

Needs CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN (with Vectorize permissions). It makes the
index ``state-of-the-union`` with about 400 vectors of 384 dimensions, and leaves it there.
"""

import logging

from examples.demo import INDEX, tour
from vectorize_core import ConfigurationError, Event, VectorizeClient


def main() -> None:
    """The tour, or what is missing for it."""
    logging.basicConfig(level=logging.WARNING, format="  %(message)s")
    events: list[Event] = []
    try:
        client = VectorizeClient(on_event=events.append)
    except ConfigurationError as error:
        print(f"Not yet: {error}.\nWithout an account, `make demo` does the same, embedded.")
        return
    with client:
        print(f"On Cloudflare, in the index {INDEX!r}. Writes become visible within seconds.")
        tour(client, events)
    print(f"\nWhen you are done: npx wrangler vectorize delete {INDEX}")


if __name__ == "__main__":
    main()
