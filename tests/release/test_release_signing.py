"""Signed videos: the frames of the line, credentials that read as untrusted, and both files' hashes."""

import datetime
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dfdm.base.files import sha256
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import planes_hash
from dfdm.media.video import probe, read_planes
from dfdm.release.signing import MASK, ORIGINAL, SELF_MADE, SWAP, credentials
from tests.commands import dfdm
from tests.release.test_release_folder import VIDEO, config
from tests.sandbox import files as content

pytestmark = pytest.mark.long
REAL = "DFDM_crf23/real/id0_0000_real.mp4"


@pytest.fixture
def out(here: Path, release: Any) -> Path:
    release("out", "--sign", "--no-crops")
    return here / "out"


def frames(path: Path) -> str:
    return planes_hash(read_planes(path, probe(path, "id0_0000", {}), whole=True))


def write_key(folder: Path, key: Any, name: str) -> None:
    """Write a key and a certificate of it: key.pem and certificate.pem."""
    owner = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")]
    )
    day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(owner, owner, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))


def test_the_frames_are_the_lines_and_the_manifest_has_the_hash_of_both_files(out: Path, here: Path) -> None:
    table = pd.read_parquet(out / "manifest.parquet").set_index("path")
    for path in (VIDEO, REAL):
        line = here / "results/dataset" / path
        assert frames(out / path) == frames(line)
        assert table.loc[path, "sha256"] == sha256(out / path) != sha256(line) == table.loc[path, "line_sha256"]
        assert table.loc[path, "bytes"] == (out / path).stat().st_size < line.stat().st_size + 10_000
        assert Sidecar.read((out / path).with_suffix(".json")).sha256 == sha256(out / path)
    assert dfdm("verify", "out").status == 0
    assert "reads as untrusted" in (out / "README.md").read_text()


def test_the_credentials_say_what_the_video_is_and_have_the_lines_sidecar(out: Path, here: Path) -> None:
    found = credentials(out / VIDEO)
    assert found is not None
    assert (found["state"], found["faults"], found["signer"]) == ("Valid", ["signingCredential.untrusted"], SELF_MADE)
    assert (
        found["kind"] == SWAP == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert found["sidecar"] == Sidecar.read(here / "results/dataset" / VIDEO.replace(".mp4", ".json")).plain()
    assert (credentials(out / REAL) or {})["kind"] == ORIGINAL
    assert credentials(here / "results/dataset" / VIDEO) is None


def test_provenance_says_it_in_words_and_a_flipped_bit_shows(out: Path) -> None:
    done = dfdm("provenance", out / VIDEO)
    assert done.status == 0
    assert "the file is byte for byte the one that was written" in done.out
    assert f"content credentials: valid, signed by {SELF_MADE}, untrusted: " in done.out
    assert "digital source type: compositeWithTrainedAlgorithmicMedia" in done.out
    written = bytearray((out / VIDEO).read_bytes())
    written[-200] ^= 1
    (out / VIDEO).write_bytes(written)
    done = dfdm("provenance", out / VIDEO)
    assert done.status == 1
    assert "content credentials: not valid (assertion.bmffHash.mismatch): the file was changed after" in done.out
    assert dfdm("verify", "out").status == 1


def test_a_second_call_signs_only_what_is_not_signed(out: Path, here: Path, release: Any) -> None:
    first = content(out)
    (out / VIDEO).unlink()
    release("out", "--sign", "--no-crops")
    second = content(out)
    assert {name for name in first if name.endswith(".mp4") and first[name] != second[name]} == {VIDEO}
    release("out", "--no-crops")  # and without --sign the line's own files take their place
    assert (out / VIDEO).read_bytes() == (here / "results/dataset" / VIDEO).read_bytes()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "RSA", "Ed25519"],
)
def test_the_configs_key_signs_and_is_named(here: Path, release: Any, key: Any) -> None:
    write_key(here, key, "Zaphod's lab")
    config(here / "config.yaml", release={"key": "key.pem", "certificate": "certificate.pem"})
    release("out", "--sign", "--no-crops", "--crf", 23, "--models", "iae")
    found = credentials(here / "out" / VIDEO)
    assert found is not None
    assert (found["state"], found["signer"]) == ("Valid", "Zaphod's lab")
    assert "the certificate of Zaphod's lab" in (here / "out/README.md").read_text()
    secret = (here / "key.pem").read_bytes().splitlines()[1]
    assert all(secret not in written for written in content(here / "out").values())


def test_a_key_that_cannot_sign_is_refused_before_anything_is_written(here: Path, release: Any) -> None:
    write_key(here, ec.generate_private_key(ec.SECP256K1()), "another curve")
    words = ("release", "out", "--sign", "--include", "id0", "id1", "--because", "noise")
    for key in ("key.pem", "config.yaml", "none.pem"):
        config(here / "config.yaml", release={"key": key, "certificate": "certificate.pem"})
        done = dfdm(*words)
        assert (done.status, "release.key and release.certificate cannot sign (" in done.err) == (2, True)
    config(here / "config.yaml", release={"key": "key.pem"})
    assert "release: key and certificate belong together; give both or none" in dfdm(*words).err
    assert not (here / "out").exists()


def test_masks_are_signed_as_what_an_algorithm_drew(here: Path, release: Any) -> None:
    release("out", "--sign", "--no-crops", "--crf", 0)
    assert (credentials(here / "out/masks/iae/id0_id1_0000_iae.mp4") or {})["kind"] == MASK


def test_without_c2pa_signing_says_what_to_install_and_provenance_that_it_did_not_check(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert "pip install 'dfdm-pipeline[sign]'" in dfdm("provenance", out / VIDEO).out
    done = dfdm("release", "new", "--sign", "--include", "id0", "id1", "--because", "noise")
    assert (done.status, "need c2pa-python: pip install 'dfdm-pipeline[sign]'" in done.err) == (2, True)
