"""Pages of HTML as trees, with no more than the standard library."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

_VOID: Final = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
_UNREAD: Final = frozenset({"script", "style"})


@dataclass(slots=True)
class Element:
    """An element of a page; what it holds stands in order, text as strings."""

    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its anchor, or ""."""
        return self.attributes.get("id", "")

    def has_class(self, name: str) -> bool:
        """Whether it is of this class."""
        return name in self.attributes.get("class", "").split()

    def elements(self, *tags: str) -> Iterator[Element]:
        """All below it with one of these tags, in order."""
        for child in self.children:
            if isinstance(child, Element):
                if child.tag in tags:
                    yield child
                yield from child.elements(*tags)

    def text(self) -> str:
        """What a reader sees of it, with single spaces."""
        return tidy("".join(self.strings()))

    def strings(self) -> Iterator[str]:
        """All text in it as it stands in the page, without links to headings."""
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif not child.has_class("headerlink"):
                yield from child.strings()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if any(element.tag == tag for element in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._open[-1].tag not in _UNREAD:
            self._open[-1].children.append(data)


def parsed(path: Path) -> Element:
    """The page, for one whose elements are closed as they should be (Sphinx's are)."""
    builder = _Builder()
    builder.feed(path.read_text(encoding="utf-8"))
    return builder.root


def tidy(text: str) -> str:
    """The text with single spaces."""
    return " ".join(text.split())


def without_tags(markup: str) -> str:
    """The text of a piece of HTML whose elements are closed anyhow (SQLite's are)."""
    return tidy(html.unescape(re.sub(r"<[^>]*>", " ", markup)))
