"""Makes pages of notebooks, with what their cells show. A hook of MkDocs: see mkdocs.yml."""

from __future__ import annotations

import json
import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page of the same name in the place of each notebook."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        page = file.src_uri.replace(".ipynb", ".md")
        files.append(
            File.generated(config, page, content=markdown(json.loads(file.content_string)))
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to notebooks to their pages."""
    return re.sub(r"\((\w+)\.ipynb", r"(\1.md", markdown)


def markdown(notebook: dict[str, Any]) -> str:
    """A notebook's texts, code, and what that printed or returned."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        shown = [
            "".join(output.get("text") or output["data"]["text/plain"]).rstrip()
            for output in cell.get("outputs", [])
        ]
        if shown:
            parts.append("```text\n" + "\n".join(shown) + "\n```")
    return "\n\n".join(parts)
