"""``python thorough_report.py JUNIT.xml OUT.md``: what `make thorough` ran, as a table of test files."""

from __future__ import annotations

import os
import platform
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("argilla", "argilla-server", "onnxruntime", "scikit-learn")


def main(junit: Path, out: Path) -> int:
    """Write the table, and return 1 where a test failed."""
    suite = next(ET.parse(junit).getroot().iter("testsuite"))  # noqa: S314 - pytest wrote it a moment ago
    files: dict[str, list[ET.Element]] = defaultdict(list)
    for case in suite.iter("testcase"):
        files[case.get("classname", "").removeprefix("tests.")].append(case)
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    count = int(suite.get("tests", 0))
    lines = [
        "# The longest tables of tests, whole",
        "",
        f"Written by `make thorough` on {datetime.now(UTC):%Y-%m-%d}: **{count - failed} of {count} passed**.",
        f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + ".",
        "",
        "`make test` goes through a part of these tables: the kills, faults and random days that",
        "tests/support/thorough.py picks. Seconds are those of each file's tests together, several at a time.",
        "",
        "| file | tests | failed | seconds |",
        "|---|---:|---:|---:|",
    ]
    for name, cases in sorted(files.items()):
        wrong = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
        seconds = sum(float(case.get("time", 0)) for case in cases)
        lines.append(f"| {name.replace('.', '/')}.py | {len(cases)} | {wrong} | {seconds:.0f} |")
    out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
