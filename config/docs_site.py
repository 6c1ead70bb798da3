"""The hook of mkdocs.yml: the pages link to files outside docs/ as on GitHub, and these files become part of the site.

README.md is the first page of the site. Other pages outside docs/, such as benchmarks/turn.md, become pages as well.
Other files that pages link to, such as config/example.toml, are copied. So the site needs no address of the
repository.
"""  # noqa: INP001  a hook that MkDocs loads by its path

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FIRST = "README.md"
# Pages of the navigation that lie outside docs/.
OUTSIDE = (FIRST, "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside docs/ to which a page links, and the pages to which those pages link."""
    waiting = list(OUTSIDE)
    for page in files.documentation_pages():
        waiting += targets(f"docs/{page.src_uri}")
    while waiting:
        path = waiting.pop()
        uri = uri_of(path)
        if files.get_file_from_path(uri) is None and (ROOT / path).is_file():
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
            if path.endswith(".md"):
                waiting += targets(path)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Make every link of ``page`` one that holds in the site."""
    here = path_of(page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        return posixpath.relpath(uri_of(target(here, found[1])), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)


def targets(path: str) -> list[str]:
    """Return the paths, from the repository's root, to which the page at ``path`` links."""
    text = FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    return [target(path, link) for link in LINK.findall(text)]


def target(path: str, link: str) -> str:
    """Return the path, from the repository's root, of ``link`` in the page at ``path``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def uri_of(path: str) -> str:
    """Return where the file at ``path`` is in the site's sources."""
    return "index.md" if path == FIRST else path.removeprefix("docs/")


def path_of(uri: str) -> str:
    """Return the path, from the repository's root, of the site's source ``uri``."""
    if uri == "index.md":
        return FIRST
    return f"docs/{uri}" if (ROOT / "docs" / uri).is_file() else uri
