"""Files of the package registries, fetched by their address: no code of a package is run.

Which index has them, and how it is reached, is what the user's own tools are configured with: `pip config list` names
indexes, folders, certificate, proxy, timeout and retries; `npm config`, or without npm its variables and ~/.npmrc, the
npm registry. Credentials come from the index's address or from ~/.netrc.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from math import ceil
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import at_home
from dfdm.base.progress import progress
from dfdm.base.section import Package

_PYPI, _NPM = "https://pypi.org/simple", "https://registry.npmjs.org"
_FAILED = (500, 502, 503, 504)  # a server's own faults, which may pass
_MIB = 2**20


class _Unread(DfdmError):
    """An address that could not be read: the fact, without what to do."""


def download(package: Package, path: Path) -> None:
    """Write a package's file to a path; its hash is the caller's to check.

    Raises DfdmError where no index has a file of that name, or the index that should cannot be reached.
    """
    client, tool = _Client(_pip_settings()), "pip" if package.registry == "pypi" else "npm"
    try:
        address = (_in_index if tool == "pip" else _in_npm)(client, package)
        client.save(address, path, f"{package.name} {package.version}")
    except _Unread as error:
        raise DfdmError(
            f"{error}; run again, or correct the network or {tool}'s configuration ('{tool} config list')"
        ) from None


class _Client:
    """Reads addresses, as pip's configuration says."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.trusted = settings.get("trusted-host", "").split()
        self.timeout = float(settings.get("timeout") or settings.get("default-timeout") or 15)
        self.session = requests.Session()
        retry = Retry(int(settings.get("retries") or 5), backoff_factor=0.25, status_forcelist=_FAILED)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=retry))
        if proxy := settings.get("proxy"):
            self.session.proxies = {"http": proxy, "https": proxy}
        self.session.cert = settings.get("client-cert") or None
        self.session.headers["Accept-Encoding"] = "identity"  # the file's own bytes

    @contextmanager
    def get(self, address: str, accept: str = "*/*") -> Iterator[requests.Response]:
        """The answer, of status 200 or 404, whose content the block may read; _Unread for any other."""
        parts = urlsplit(address)
        trusted = parts.hostname in self.trusted or f"{parts.hostname}:{parts.port}" in self.trusted
        verify = False if trusted else self.settings.get("cert") or True
        try:
            answer = self.session.get(
                address, headers={"Accept": accept}, stream=True, timeout=self.timeout, verify=verify
            )
        except OSError as error:  # requests' own are some, and that of an absent certificate is another
            cause = getattr(error.args[0] if error.args else None, "reason", error)  # without the number of tries
            raise _Unread(f"{_shown(address)} cannot be reached ({reason(cause)})") from None
        with answer:
            if answer.status_code not in (200, 404):
                raise _Unread(f"{_shown(address)} answers {answer.status_code} {answer.reason}")
            try:
                yield answer
            except requests.RequestException as error:
                raise _Unread(f"{_shown(address)} cannot be read ({reason(error)})") from None

    def links(self, location: str) -> list[str]:
        """The addresses of files that an index's page, or a folder, lists; none where there is no such place."""
        if (place := _local(location)) is None:
            with self.get(location, "application/vnd.pypi.simple.v1+html, text/html;q=0.9") as answer:
                return [] if answer.status_code == 404 else _Page.links_of(answer.url, answer.text)
        held = sorted(place.absolute().iterdir()) if place.is_dir() else [place.absolute()]
        found = [path.as_uri() for path in held if path.is_file()]
        for page in (path for path in held if path.suffix == ".html" and path.is_file()):
            found += _Page.links_of(page.as_uri(), page.read_text("utf-8", "replace"))
        return found

    def save(self, address: str, path: Path, what: str) -> None:
        """Copy what is at an address to a path, showing how far it is."""
        if (place := _local(address)) is not None:
            if not place.is_file():
                raise _Unread(f"{place}, which the index names, does not exist")
            shutil.copyfile(place, path)
            return
        with self.get(address) as answer, open(path, "wb") as file:
            if answer.status_code == 404:
                raise _Unread(f"{_shown(address)}, which the registry names, does not exist")
            chunks, size = answer.iter_content(_MIB), int(answer.headers.get("Content-Length", 0))
            for chunk in progress(chunks, ceil(size / _MIB), f"fetching {what}", "MiB") if size else chunks:
                file.write(chunk)


class _Page(HTMLParser):
    """The links of an index's page (PEP 503)."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.base, self.found = address, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a link, or the address that links start from."""
        if href := dict(attrs).get("href"):
            if tag == "base":
                self.base = urljoin(self.base, href)
            elif tag == "a":
                self.found.append(urljoin(self.base, href))

    @classmethod
    def links_of(cls, address: str, text: str) -> list[str]:
        """The addresses that a page links to."""
        page = cls(address)
        page.feed(text)
        return page.found


def _in_index(client: _Client, package: Package) -> str:
    """The address of a file of PyPI, or of the index or folder that pip looks in instead.

    Any place that has the file will do, since the config has its hash. One that cannot be read matters where no other
    has it.
    """
    settings, project = client.settings, re.sub(r"[-_.]+", "-", package.name).lower()
    no_index = settings.get("no-index", "").lower() in ("1", "y", "yes", "t", "true", "on")
    indexes = f"{settings.get('index-url') or _PYPI} {settings.get('extra-index-url', '')}".split()
    pages = [f"{index.rstrip('/')}/{project}/" for index in indexes if not no_index]
    faults, places = list[str](), [*settings.get("find-links", "").split(), *pages]
    other = ""
    for place in places:
        try:
            links = client.links(place)
        except _Unread as error:
            faults.append(str(error))
            continue
        for link in links:
            parts = urlsplit(link)
            if unquote(parts.path).rpartition("/")[2] == package.file:
                stated = parts.fragment.removeprefix("sha256=") if parts.fragment.startswith("sha256=") else ""
                if stated in ("", package.sha256):
                    return link
                other = stated
    if other:
        raise DfdmError(f"{package.file} has sha256 {other}, the config says {package.sha256}; correct the config")
    if faults:
        raise _Unread(f"{package.file} was not found: {faults[0]}")
    raise DfdmError(
        f"{package.name} {package.version} has no file {package.file} in {', '.join(map(_shown, places))}; correct the "
        "config, or pip's configuration ('pip config list')"
    )


def _in_npm(client: _Client, package: Package) -> str:
    """The address of an archive of the npm registry, which calls @scope/name's name-1.0.0.tgz, `npm pack`
    scope-name-1.0.0.tgz.
    """
    scope = package.name.partition("/")[0] if package.name.startswith("@") else ""
    registry = (scope and _npm_setting(f"{scope}:registry")) or _npm_setting("registry") or _NPM
    about = f"{registry.rstrip('/')}/{quote(package.name, safe='@')}/{quote(package.version)}"
    with client.get(about) as answer:
        found = answer.json() if answer.status_code == 200 else {}
    address = found["dist"].get("tarball") if isinstance(found, dict) and isinstance(found.get("dist"), dict) else None
    if not isinstance(address, str):
        raise DfdmError(f"{_shown(registry)} has no {package.name} {package.version}; correct the config")
    packed = f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}.tgz"
    if package.file not in (packed, unquote(urlsplit(address).path).rpartition("/")[2]):
        raise DfdmError(
            f"{package.name} {package.version} has no file {package.file}, but {packed}; correct the config"
        )
    return address


def _pip_settings() -> dict[str, str]:
    """What `pip download` is configured with, by option: the environment over its own section over `global`."""
    text = _answer([sys.executable, "-m", "pip", "config", "list"])
    lines = [line.partition("=")[::2] for line in text.splitlines()]
    found: dict[str, str] = {}
    for section in ("global.", "download.", ":env:."):
        found |= {key.removeprefix(section): ast.literal_eval(value) for key, value in lines if key.startswith(section)}
    return found


def _npm_setting(key: str) -> str | None:
    """One key of npm's configuration, None where it is not set."""
    if npm := shutil.which("npm"):
        text = _answer([npm, "config", "get", key]).strip()
        return None if text == "undefined" else text
    named = {name.lower(): value for name, value in os.environ.items()}
    file = at_home(named.get("npm_config_userconfig") or "~/.npmrc")
    lines = file.read_text().splitlines() if file.is_file() else []
    own = {name.strip(): value.strip().strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    return named.get(f"npm_config_{key}") or own.get(key)


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise DfdmError(
            f"'{' '.join(command)}' failed ({said[-1] if said else done.returncode}); it names the registry: repair it"
        )
    return done.stdout


def _local(address: str) -> Path | None:
    """The file or folder of this machine that an address names; None of one on the network."""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else at_home(address)


def _shown(address: str) -> str:
    """An address without the credentials in it."""
    return re.sub(r"//[^/@]*@", "//", address)
