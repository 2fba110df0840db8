"""A real browser for the page: Debian's Chromium, driven by playwright; axe-core looks for what shuts people out."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = Path(sys.prefix, "axe/package/axe.min.js")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window; it ends with its module, since its event loop keeps Snakemake's API from running."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("playwright is missing: make browser installs it", pytrace=False)
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: install chromium (Debian: apt-get install chromium)", pytrace=False)
    with sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    if not AXE.exists():
        pytest.fail(f"{AXE} is missing: make browser fetches it (with npm)", pytrace=False)
    return AXE.read_text()


def faults(page: Any, axe: str) -> list[str]:
    """What axe-core calls serious or critical, a line each."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {rule['help']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:3]
    ]
