"""Writes as multipart forms: whatever the field is called, and whatever the form looks like."""

from __future__ import annotations

import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.nightly import sized
from tests.server.helpers import MARK, Peer, lines, record
from vectorize_core.local import ServiceFault
from vectorize_core.local.server import BackgroundServer, multipart

A = lines(record("a"))
KIND = "multipart/form-data; boundary=XyZ"
FILE = 'form-data; name="{}"; filename="v.ndjson"'


def part(disposition: str | None, content: bytes = A, *headers: str) -> bytes:
    """A part; ``disposition`` may be None for a part without that header."""
    first = [] if disposition is None else [f"Content-Disposition: {disposition}"]
    head = "".join(f"{header}\r\n" for header in [*first, *headers])
    return f"--XyZ\r\n{head}\r\n".encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XyZ--\r\n"


@pytest.fixture(scope="module")
def target() -> Iterator[Peer]:
    with BackgroundServer() as server:
        peer = Peer(server.base_url)
        yield peer
        peer.close()


@pytest.fixture(autouse=True)
def _empty(target: Peer) -> Iterator[None]:
    target.create()
    yield
    target.result("DELETE", "/docs")


ONE_FILE = {
    # As cloudflare-go sends it.
    "an empty name": part(
        'form-data; name=""; filename="anonymous_file"', A, "Content-Type: application/octet-stream"
    ),
    # As the curl of Cloudflare's page of the API sends it.
    "the name body": part(
        'form-data; name="body"; filename="body"', A, "Content-Type: application/octet-stream"
    ),
    # As curl sends it when it is told a content type for the whole.
    "an attachment": part('attachment; name="body"; filename="body.ndjson"'),
    "the name file": part(FILE.format("file")),
    "no name": part('form-data; filename="v.ndjson"'),
    "no file name": part('form-data; name="body"'),
    "an empty file name": part('form-data; name="body"; filename=""'),
    "neither": part("form-data"),
    "no disposition": part(None),
    "other headers only": part(None, A, "Content-Type: application/json", "X-Other: 1"),
    "a name without quotes": part("form-data; name=data; filename=v"),
    "odd characters in the names": part('form-data; name="a;b=\\"c"; filename="a; name=vectors"'),
    "a file name beyond ASCII": part("form-data; name=\"f\"; filename*=utf-8''%e2%82%ac.ndjson"),
    "headers in capitals": part(None, A, 'CONTENT-DISPOSITION: FORM-DATA; NAME="f"; FILENAME="v"'),
    "a header over two lines": part(None, A, 'Content-Disposition: form-data;\r\n name="f"'),
    "binary": part(FILE.format("f"), A, "Content-Transfer-Encoding: Binary"),
    "fields besides": part('form-data; name="comment"', b"hi") + part(FILE.format("x")),
    "fields behind it": part(FILE.format("x")) + part('form-data; name="comment"', b"hi"),
    "other files, and vectors": part(FILE.format("x"), b"?")
    + part(FILE.format("vectors"))
    + part(FILE.format("y"), b"?"),
    "other files, and a field vectors": part(FILE.format("x"), b"?")
    + part('form-data; name="vectors"'),
}


@pytest.mark.parametrize("parts", ONE_FILE.values(), ids=ONE_FILE)
def test_one_file_is_taken_whatever_its_fields_name(target: Peer, parts: bytes) -> None:
    for verb in ("insert", "upsert"):
        target.result("POST", f"/docs/{verb}", content=form(parts), kind=KIND)
    assert target.found() == "a"


FORMS = {
    "a preamble and an epilogue": (KIND, b"for old\r\nclients\r\n" + form(part(None)) + b"bye\r\n"),
    "line breaks before it": (KIND, b"\r\n\r\n" + form(part(None))),
    "no line break at its end": (KIND, form(part(None))[:-2]),
    "spaces after its boundaries": (
        KIND,
        form(part(None)).replace(b"--XyZ\r\n", b"--XyZ \t\r\n").replace(b"XyZ--", b"XyZ--  "),
    ),
    "plain line feeds": (KIND, form(part('form-data; name="f"')).replace(b"\r\n", b"\n")),
    "a boundary in quotes": ('multipart/form-data; boundary="XyZ"', form(part(None))),
    "a boundary with spaces and signs": (
        'multipart/form-data; boundary="a b(c)+_,-./:=?\'"',
        form(part(None)).replace(b"XyZ", b"a b(c)+_,-./:=?'"),
    ),
    "a boundary of dashes": (
        "multipart/form-data; boundary=---",
        form(part(None)).replace(b"XyZ", b"---"),
    ),
    "a boundary of seventy": (
        "multipart/form-data; boundary=" + "b" * 70,
        form(part(None)).replace(b"XyZ", b"b" * 70),
    ),
    "another parameter before it": (
        'Multipart/Form-Data; charset="a;boundary=no"; BOUNDARY=XyZ',
        form(part(None)),
    ),
    "what looks like a boundary": (
        KIND,
        form(part(None, b"\r\n".join([A.replace(b'"a"', b'"b"'), b"", A]))).replace(
            b"--XyZ--", b"--XyZ--"
        ),
    ),
    "blank lines in it": (KIND, form(part(None, b"\r\n\r\n" + A + b"\r\n\r\n"))),
}


@pytest.mark.parametrize(("kind", "body"), FORMS.values(), ids=FORMS)
def test_a_form_may_look_in_many_ways(target: Peer, kind: str, body: bytes) -> None:
    target.result("POST", "/docs/upsert", content=body, kind=kind)
    assert target.found()[0] == "a"


def test_what_only_looks_like_a_delimiter_belongs_to_the_file() -> None:
    content = b"--XyZ\r--XyZ--\r\n--XyZa\r\n --XyZ\r\n--xyz--\r\n-- XyZ\r\n--XyZ--x\r\n\r"
    assert multipart.file_content(KIND, form(part(None, content))) == content


REFUSED = {
    "nothing": (KIND, b""),
    "no form": (KIND, A),
    "no parts": (KIND, form()),
    "two files": (KIND, form(part(FILE.format("x")), part(FILE.format("y")))),
    "two fields": (KIND, form(part('form-data; name="x"'), part('form-data; name="y"'))),
    "vectors twice": (KIND, form(part(FILE.format("vectors")), part(FILE.format("vectors")))),
    "another boundary": ("multipart/form-data; boundary=abc", form(part(None))),
    "a boundary that begins alike": ("multipart/form-data; boundary=Xy", form(part(None))),
    "no boundary": ("multipart/form-data", form(part(None))),
    "an empty boundary": ("multipart/form-data; boundary=", form(part(None))),
    "an empty boundary in quotes": ('multipart/form-data; boundary=""', form(part(None))),
    "a long boundary": ("multipart/form-data; boundary=" + "b" * 500, form(part(None))),
    "no end": (KIND, part(None)),
    "an end that is cut": (KIND, form(part(None))[:-4]),
    "an end in the middle of the file": (KIND, form(part(None))[:40]),
    "an end in the headers": (KIND, form(part(FILE.format("x")))[:20]),
    "a part without a blank line": (KIND, b"--XyZ\r\nA: b\r\n--XyZ--\r\n"),
    "a part of nothing": (KIND, b"--XyZ\r\n--XyZ--\r\n"),
    "headers without end": (KIND, form(part(None, A, "X: " + "y" * 5_000))),
    "many headers": (KIND, form(part(None, A, *["X: y"] * 2_000))),
    "base64": (KIND, form(part(None, b"eA==", "Content-Transfer-Encoding: base64"))),
    "quoted-printable": (
        KIND,
        form(part(None, A, "Content-Transfer-Encoding: quoted-printable")),
    ),
    "many parts": (KIND, form(part('form-data; name="vectors"'), *[part(None, b"")] * 100)),
    "NUL bytes": (KIND, b"\x00" * 100),
    "many lines that begin like a delimiter": (KIND, form(part(None, b"\r\n--XyZa" * 1_001))),
}


@pytest.mark.parametrize(("kind", "body"), REFUSED.values(), ids=REFUSED)
def test_any_other_form_is_refused_in_words(target: Peer, kind: str, body: bytes) -> None:
    status, code, message = target.fault("POST", "/docs/upsert", content=body, kind=kind)
    assert (status, code) == (400, 49999)
    assert message.startswith(f"{MARK}the form cannot be read: ")
    assert target.count() == 0


def test_a_choice_of_files_is_named(target: Peer) -> None:
    body = form(part(FILE.format("old")), part(FILE.format("new")), part('form-data; name="x"'))
    message = target.fault("POST", "/docs/upsert", content=body, kind=KIND)[2]
    assert "2 parts that could be the vectors ('old', 'new')" in message
    assert "name its field 'vectors'" in message


def test_a_form_of_unparsable_lines_is_what_a_body_of_them_is(target: Peer) -> None:
    fault = target.fault("POST", "/docs/upsert", content=form(part(None, b"?")), kind=KIND)
    assert fault[:2] == (400, 40023)


MB = sized(2, 50)


LARGE: dict[str, Callable[[int], bytes]] = {
    "a file": lambda mb: form(part(FILE.format("f"), b"x\n" * (mb << 19))),
    "line breaks": lambda mb: form(part(FILE.format("f"), b"\r\n" * (mb << 19))),
    "what begins like a delimiter": lambda mb: form(
        part(FILE.format("f"), b"\r\n--XyZ-" * (mb * 116_000))
    ),
    "what is nearly a delimiter": lambda mb: form(
        part(FILE.format("f"), b"\n--XyZ x" * (mb * 131_000))
    ),
    "delimiters": lambda mb: b"--XyZ\r\n" * (mb * 149_000),
    "empty parts": lambda mb: b"--XyZ\r\n\r\n\r\n" * (mb * 95_000),
    "closing delimiters": lambda mb: form(part(None)) + b"\r\n--XyZ--" * (mb * 116_000),
    "a preamble of dashes": lambda mb: b"-" * (mb << 20) + b"\r\n" + form(part(None)),
    "a delimiter and spaces": lambda mb: b"--XyZ" + b" " * (mb << 20),
    "headers": lambda mb: b"--XyZ\r\n" + b"a:b\r\n" * (mb * 209_000),
    "a header": lambda mb: b"--XyZ\r\n" + b";a=" * (mb * 349_000),
    "quotes in headers": lambda mb: part('form-data; name="' + ';a="' * 480, b"") * (99 * mb),
}
MOST_STEPS = 2_500_000
"""A hundred parts with as many quotes as fit take 1.8 million; nothing else takes 20,000."""


def steps(body: bytes) -> int:
    """How many functions are called and left, those of C too, each of which reads what it is given
    once: for a quadratic one these bodies would be too large."""
    count = 0

    def see(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(see)
    try:
        with suppress(ServiceFault):
            multipart.file_content(KIND, body)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("made", LARGE.values(), ids=LARGE)
def test_a_large_form_takes_linear_time_and_one_copy(made: Callable[[int], bytes]) -> None:
    body = made(MB)
    taken = steps(body)
    assert taken < MOST_STEPS
    # However large it is.
    assert abs(steps(made(2 * MB)) - taken) < 0.02 * taken + 100
    tracemalloc.start()
    with suppress(ServiceFault):
        multipart.file_content(KIND, body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(body) + 1_000_000


pieces = st.sampled_from(
    [
        *(b"--XyZ", b"--XyZ--", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"-", b"--", b":", b";"),
        *(
            b"Content-Disposition: form-data",
            b'; name="',
            b'"',
            b"vectors",
            b"; filename=",
            b"\xff",
        ),
        *(b"Content-Transfer-Encoding: base64", b"=?utf-8?q?=41?=", b"name*0*=x''%", A, b"\x00"),
    ]
)
bodies = st.lists(pieces | st.binary(max_size=4), max_size=30).map(b"".join)
kinds = st.sampled_from([KIND, 'multipart/form-data; boundary="X\\"yZ"', "x; boundary*=a'b'XyZ"])


@settings(max_examples=sized(150, 2_000), suppress_health_check=[HealthCheck.too_slow])
@given(
    kinds | st.text(st.characters(max_codepoint=255), max_size=60).map(lambda t: KIND + t), bodies
)
def test_any_form_is_read_or_refused(kind: str, body: bytes) -> None:
    for whole in (body, b"--XyZ\r\n" + body + b"\r\n--XyZ--"):
        for guess in (False, True):
            with suppress(ServiceFault):
                assert multipart.file_content(kind, whole, guess_boundary=guess) in whole


names = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\\\'))
contents = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b"--", b"-", b"--XyZ", b"XyZ--", b"\x00\xff", A])
    | st.binary(max_size=4),
    max_size=12,
).map(lambda pieces: re.sub(rb"(?<![^\n])--XyZ", b"-.XyZ", b"".join(pieces)))


@settings(max_examples=sized(150, 5_000), suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(names, st.none() | names, contents), min_size=1, max_size=4),
    st.sampled_from([b"", b"\r\n", b"for old clients\r\n"]),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n--XyZ--\r\nbye"]),
)
def test_the_file_of_any_form_comes_out_byte_for_byte(
    parts: list[tuple[str, str | None, bytes]], preamble: bytes, epilogue: bytes
) -> None:
    made = [
        part(
            f'form-data; name="{name}"' + (f'; filename="{file}"' if file is not None else ""),
            content,
        )
        for name, file, content in parts
    ]
    body = preamble + b"".join(made) + b"--XyZ--" + epilogue
    files = [content for name, _, content in parts if name == "vectors"]
    files = files or [content for _, file, content in parts if file is not None]
    files = files or [content for _, _, content in parts]
    if len(files) == 1:
        assert multipart.file_content(KIND, body) == files[0]
    else:
        with pytest.raises(ServiceFault):
            multipart.file_content(KIND, body)
