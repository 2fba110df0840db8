"""What the Snakemake workflow catalogue and other readers of repositories look for."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import yaml

import dfdm

ROOT = Path(__file__).parents[1]


def test_the_workflow_catalogue_finds_what_its_standardised_usage_asks_for() -> None:
    assert (ROOT / "workflow/Snakefile").is_file()
    assert (ROOT / "config/README.md").is_file()
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["report"] is True
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    assert usage["mandatory-flags"]["desc"]


def test_the_version_is_one() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert {version("dfdm-pipeline"), cited, newest[1]} == {dfdm.__version__}


def test_a_tag_of_this_commit_is_the_version() -> None:
    words = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD"]
    tags = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    assert set(tags) <= {f"v{dfdm.__version__}"}


def test_every_link_to_a_file_of_the_repository_leads_to_one() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")]
    gone = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert gone == []
