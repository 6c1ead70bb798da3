"""Every command that a page names exists, and the real command line takes its options and arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
import typer

from argilla_loop.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
PAGES.remove(ROOT / "CHANGELOG.md")  # commands of earlier versions
BLOCK = re.compile(r"^```(?:sh|console|bash)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:argilla-loop|make) [^`]+)`")
# What ends a command in a shell.
ENDS = {"|", "||", "&", "&&", ";", ">", ">>", "2>", "<"}
COMMANDS = typer.main.get_command(app)


def lines(page: Path) -> Iterator[str]:
    """The lines of code blocks, continued ones as one, and the commands in the text."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    for inline in INLINE.findall(text):
        yield inline.replace("\\|", "|")


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Page and arguments of every command of ``program``."""
    found = []
    for page in PAGES:
        for line in lines(page):
            words = line.strip().removeprefix("$ ").split("#")[0]
            if program not in words:
                continue
            try:
                parts = shlex.split(words)
            except ValueError:  # a sentence
                continue
            while parts and re.fullmatch(r"[A-Z_]+=.*", parts[0]):
                parts = parts[1:]
            if not parts or Path(parts[0]).name != program:
                continue
            end = next((n for n, part in enumerate(parts) if part in ENDS or "|" in part), len(parts))
            found.append((str(page.relative_to(ROOT)), parts[1:end]))
    return found


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        pytest.param(page, arguments, id=f"{page}: {' '.join(arguments)}")
        for page, arguments in sorted(
            {(page, tuple(arguments)) for page, arguments in commands("argilla-loop")}
        )
    ],
)
def test_the_command_line_takes_it(page: str, arguments: tuple[str, ...]) -> None:
    del page
    assert isinstance(COMMANDS, click.Group)
    if arguments[:1] in ((), ("--help",), ("COMMAND",), ("is",)):  # the last is a sentence about the package
        return
    command = COMMANDS.commands.get(arguments[0])
    if command is None:
        pytest.fail(f"there is no command {arguments[0]!r}")
    if len(arguments) == 1:  # the command as a word of the text
        return
    with suppress(click.exceptions.Exit):  # of --help
        command.make_context(arguments[0], list(arguments[1:]))


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        target
        for _, arguments in commands("make")
        for target in arguments
        if "=" not in target and not target.startswith("-")
    }
    assert {"demo", "test", "lint"} <= named
    assert [
        one for one in sorted(named) if not re.search(rf"^{re.escape(one)}:", makefile, re.MULTILINE)
    ] == []


def test_it_finds_the_commands_it_is_about() -> None:
    known = {arguments[0] for _, arguments in commands("argilla-loop") if arguments}
    assert isinstance(COMMANDS, click.Group)
    assert set(COMMANDS.commands) <= known
    with pytest.raises(click.UsageError):
        COMMANDS.commands["run"].make_context("run", ["--no-such-option"])
