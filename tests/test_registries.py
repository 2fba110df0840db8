"""Package files from registries that the tests make: folders, file:// indexes, and servers on this machine."""

import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.section import FileRef
from dfdm.catalogue import registries, sources
from dfdm.catalogue.people import SourcesConfig

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])
SDIST, ARCHIVE = "toy-1.0.tar.gz", "toy-1.0.0.tgz"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's configuration of pip and npm, nor its cache; no second try."""
    for name in (*os.environ, "DFDM_CACHE", sources.OFFLINE):
        if name.lower().startswith(("pip_", "npm_")) or name in ("DFDM_CACHE", sources.OFFLINE):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(registries.shutil, "which", lambda name: None)  # no npm


class Handler(SimpleHTTPRequestHandler):
    """A folder's files, with faults: /403/... is forbidden, /short/... ends too early."""

    def do_GET(self) -> None:
        fault, _, rest = self.path.lstrip("/").partition("/")
        if fault == "403":
            return self.send_error(403)
        if fault != "short":
            return super().do_GET()
        content = Path(self.translate_path(rest)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, *given: object) -> None:
        """Be quiet."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which its files are."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def tar(files: dict[str, str]) -> bytes:
    """A compressed archive."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return written.getvalue()


def sdist(folder: Path, mark: Path | None = None) -> bytes:
    """A source package in a folder, whose setup.py would leave a file."""
    content = tar({"toy-1.0/setup.py": f"open({str(mark)!r}, 'w')", "toy-1.0/toy/clip.mp4": "frames"})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SDIST).write_bytes(content)
    return content


def index(folder: Path, content: bytes, href: str = f"../../files/{SDIST}", stated: str | None = None) -> None:
    """An index's page of the package."""
    (folder / "simple/toy").mkdir(parents=True, exist_ok=True)
    anchor = f'<a href="{href}#sha256={stated or sha256(content).hexdigest()}">{SDIST}</a>'
    (folder / "simple/toy/index.html").write_text(f"<!DOCTYPE html><html><body>{anchor}</body></html>")


def config(tmp_path: Path, content: bytes, **changes: str) -> SourcesConfig:
    """A config whose one package is `toy`."""
    package = {"name": "toy", "version": "1.0", "file": SDIST, "sha256": sha256(content).hexdigest(), **changes}
    person = {"licence": "MIT", "consent": "own recording", "scenes": {"0000": {"path": "a.mp4"}}}
    given = {"cache": str(tmp_path / "cache"), "packages": {"any": package}, "people": {"id0": person}}
    return SourcesConfig.model_validate(given)


def fetched(given: SourcesConfig, member: str = "toy/clip.mp4") -> str:
    return sources.fetch(given, FileRef(package="any", member=member)).read_text()


def refusal(given: SourcesConfig) -> str:
    """The sentence with which a package is refused; nothing is left in the cache."""
    with pytest.raises(DfdmError) as caught:
        fetched(given)
    assert "\n" not in str(caught.value)
    assert not [path for path in given.cache_dir.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return str(caught.value)


def test_a_source_package_is_fetched_and_its_setup_is_not_run(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = served
    content = sdist(folder / "files", mark=tmp_path / "mark")
    index(folder, content)
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
    given = config(tmp_path, content, name="Toy")
    assert fetched(given) == "frames"
    assert not (tmp_path / "mark").exists()
    assert (given.cache_dir / "files" / SDIST).read_bytes() == content
    assert "fetching Toy 1.0: 1/1 MiB" in capsys.readouterr().err


@pytest.mark.parametrize("npm", ["none", "installed"])
@pytest.mark.parametrize(("name", "file"), [("toy", ARCHIVE), ("@own/toy", ARCHIVE), ("@own/toy", f"own-{ARCHIVE}")])
def test_an_npm_package_is_fetched_with_or_without_npm_and_its_scripts_are_not_run(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, npm: str, name: str, file: str
) -> None:
    folder, address = served
    scripts = {when: f"touch {tmp_path / 'mark'}" for when in ("preinstall", "install", "prepare", "prepack")}
    content = tar({"package/package.json": json.dumps({"scripts": scripts}), "package/clip.mp4": "frames"})
    (folder / name / "-").mkdir(parents=True)
    (folder / name / "-" / ARCHIVE).write_bytes(content)
    (folder / name / "1.0.0").write_text(json.dumps({"dist": {"tarball": f"{address}/{name}/-/{ARCHIVE}"}}))
    if npm == "installed":
        program = tmp_path / "npm"
        program.write_text(f"#!/bin/sh\n[ \"$*\" = 'config get registry' ] && echo '{address}/' || echo undefined\n")
        program.chmod(0o755)
        monkeypatch.setattr(registries.shutil, "which", lambda name: str(program))
    else:
        (tmp_path / "home").mkdir()
        key = "@own:registry" if name.startswith("@") else "registry"
        (tmp_path / "home/.npmrc").write_text(f"registry = http://127.0.0.1:9\n{key}={address}/\n")
    given = config(tmp_path, content, registry="npm", name=name, version="1.0.0", file=file)
    assert fetched(given, "package/clip.mp4") == "frames"
    assert not (tmp_path / "mark").exists()


def test_an_npm_package_that_the_registry_lacks_is_one_sentence(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    monkeypatch.setattr(registries, "_pip_settings", lambda: {"retries": "0"})
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
    given = config(tmp_path, b"", registry="npm", version="1.0.0", file="toy-1.0.tgz")
    assert refusal(given) == f"{address} has no toy 1.0.0; correct the config"
    (folder / "toy").mkdir()
    (folder / "toy/1.0.0").write_text(json.dumps({"dist": {"tarball": f"{address}/toy/-/{ARCHIVE}"}}))
    assert refusal(given) == f"toy 1.0.0 has no file toy-1.0.tgz, but {ARCHIVE}; correct the config"
    (folder / "toy/1.0.0").write_text("<html>")
    assert f"{address}/toy/1.0.0 cannot be read" in refusal(given)
    (folder / "toy/1.0.0").write_text("[]")
    assert "has no toy 1.0.0" in refusal(given)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    assert re.fullmatch(
        r"http://127.0.0.1:9/toy/1.0.0 cannot be reached \(.*\); .* \('npm config list'\)", refusal(given)
    )


def test_a_file_of_another_hash_is_refused(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    content = sdist(folder / "files")
    index(folder, content)
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    sentence = refusal(config(tmp_path, content, sha256="0" * 64))
    assert sentence.startswith(f"{SDIST} has sha256 {sha256(content).hexdigest()}, the config says 0000")
    index(folder, content, stated="0" * 64)  # the index and the config say the same, the file is another
    sentence = refusal(config(tmp_path, content, sha256="0" * 64))
    assert f"{SDIST} of the pypi registry has sha256 {sha256(content).hexdigest()}, the config says 0000" in sentence


def test_a_file_that_no_index_has_is_refused(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    content = sdist(folder / "files")
    index(folder, content)
    monkeypatch.setenv("PIP_INDEX_URL", f"{address.replace('//', '//ann:secret@')}/simple")
    sentence = refusal(config(tmp_path, content, file="toy-1.0.zip"))
    assert sentence.startswith(f"toy 1.0 has no file toy-1.0.zip in {address}/simple/toy/; correct the config")
    assert "has no file" in refusal(config(tmp_path, content, name="other"))


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("http://127.0.0.1:9/simple", "http://127.0.0.1:9/simple/toy/ cannot be reached ("),
        ("http://ann:secret@127.0.0.1:9", "http://127.0.0.1:9/toy/ cannot be reached ("),
        ("{}/403", "/403/toy/ answers 403 Forbidden; run again, or correct the network or pip's configuration"),
    ],
)
def test_an_index_that_cannot_be_read_is_one_sentence_unless_another_has_the_file(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, place: str, sentence: str
) -> None:
    folder, address = served
    content = sdist(tmp_path / "wheels")
    monkeypatch.setenv("PIP_INDEX_URL", place.format(address))
    said = refusal(config(tmp_path, content))
    assert said.startswith(f"{SDIST} was not found: ")
    assert sentence in said
    assert "secret" not in said
    index(folder, content, href=(tmp_path / "wheels" / SDIST).as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{address}/simple")
    assert fetched(config(tmp_path, content)) == "frames"


def test_a_download_that_ends_too_early_is_one_sentence(
    tmp_path: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    content = sdist(folder / "files")
    index(folder, content, href=f"/short/files/{SDIST}")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    assert f"{address}/short/files/{SDIST}#sha256=" in refusal(config(tmp_path, content))


@pytest.mark.parametrize("form", ["folder", "folder's address", "index's address", "page"])
def test_folders_and_indexes_of_this_machine_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    content, wheels = sdist(tmp_path / "my wheels"), tmp_path / "my wheels"
    index(tmp_path, content, href=f"../../my%20wheels/{SDIST}")
    page = tmp_path / "simple/toy/index.html"
    link = tmp_path / "wheels"
    link.symlink_to(wheels)
    name, value = {
        "folder": ("PIP_FIND_LINKS", f"/nowhere {link}"),
        "folder's address": ("PIP_FIND_LINKS", wheels.as_uri()),
        "index's address": ("PIP_INDEX_URL", f"{tmp_path.as_uri()}/simple"),
        "page": ("PIP_FIND_LINKS", str(page)),
    }[form]
    monkeypatch.setenv("PIP_NO_INDEX" if name == "PIP_FIND_LINKS" else "PIP_RETRIES", "1")
    monkeypatch.setenv(name, value)
    assert fetched(config(tmp_path, content)) == "frames"


def test_the_environment_counts_more_than_pips_section_and_that_more_than_global(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = http://a\ntimeout = 1\ncert = c.pem\nextra-index-url =\n  http://x\n  http://y\n"
        "[download]\nindex-url = http://b\ntimeout = 2\n[install]\ncert = other\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "http://c")
    found = registries._pip_settings()
    assert (found["index-url"], found["timeout"], found["cert"]) == ("http://c", "2", "c.pem")
    assert found["extra-index-url"].split() == ["http://x", "http://y"]
    monkeypatch.setenv("PIP_RETRIES", "often")
    assert "pip config list' failed (An error occurred during configuration: option retries" in refusal(
        config(tmp_path, b"")
    )
    file.write_text("index-url = x")
    assert f"'{sys.executable} -m pip config list' failed (" in refusal(config(tmp_path, b""))


def test_the_certificate_and_the_trusted_hosts_of_pips_configuration_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    assert "none.pem" in refusal(config(tmp_path, b""))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1:9")
    assert "refused" in refusal(config(tmp_path, b""))


def test_a_file_that_is_no_archive_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy-1.0.json").write_bytes(b"{}")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DfdmError, match="is no zip and no tar archive"):
        fetched(config(tmp_path, b"{}", file="toy-1.0.json"))
