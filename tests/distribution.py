"""An installed distribution, as pip leaves one on the path, for tests of what is found among entry points."""

from pathlib import Path


def install(folder: Path, name: str, modules: dict[str, str], entries: dict[str, dict[str, str]]) -> Path:
    """Put modules (by name, their text) and a distribution's metadata into a folder for the path; returns it.

    `entries`: by group, entry point names and the modules that they name.
    """
    metadata = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines = [
        line for group, given in entries.items() for line in (f"[{group}]", *(f"{a} = {b}" for a, b in given.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    return folder
