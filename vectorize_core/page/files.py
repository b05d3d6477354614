"""The files of the page, which come with the package."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from vectorize_core.page.answers import PageError
from vectorize_core.threads import in_thread

FOLDER: Final = Path(__file__).with_name("static")
# Not by the module mimetypes, which asks the system, and on Windows may be told nonsense.
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


async def answer(request: Request) -> Response:
    """A file by its name below ``/page/``, or the page itself."""
    name = request.path_params.get("name", "index.html")
    content = await in_thread(partial(_read, name))
    tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers={**headers, "content-type": _TYPES[Path(name).suffix]})


def _read(name: str) -> bytes:
    """The bytes of a file that is in the folder; a 404 for all else."""
    known = {each.relative_to(FOLDER).as_posix() for each in FOLDER.rglob("*") if each.is_file()}
    if name not in known or Path(name).suffix not in _TYPES:
        raise PageError(404, "NotFound", "the page has no such file")
    return (FOLDER / name).read_bytes()
