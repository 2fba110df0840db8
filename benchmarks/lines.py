"""Lines of code by package, without docstrings, comments and blank lines: `python -m benchmarks.lines`."""

import ast
import io
import subprocess
import tokenize
from collections import Counter
from pathlib import Path

from dfdm.base.text import table

NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


def code_lines(text: str) -> int:
    """The lines of a module that hold a token of code outside its docstrings."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE | {tokenize.ENDMARKER}:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


def main() -> None:
    """Print the table of this checkout: a row a package, tests apart."""
    listed = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True).stdout.split()
    counts: Counter[str] = Counter()
    for path in map(Path, listed):
        room = "/".join(path.parts[: 2 if path.parts[0] == "dfdm" and len(path.parts) > 2 else 1])
        counts[room] += code_lines(path.read_text())
    tests = counts.pop("tests")
    rows = [(room, f"{count:,}") for room, count in sorted(counts.items())]
    print(table(("package", "lines"), [*rows, ("together", f"{counts.total():,}"), ("tests", f"{tests:,}")]))


if __name__ == "__main__":
    main()
