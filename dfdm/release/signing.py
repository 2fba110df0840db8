"""Content credentials (C2PA) of released videos: who released them, and what they are, signed.

No time stamp server is asked. Signing changes a file's bytes and no frame. It needs c2pa-python, of the extra `sign`.
"""

import datetime
import json
from pathlib import Path
from typing import Any

from dfdm import __version__
from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import at_home, atomic
from dfdm.dataset.settings import ReleaseConfig

SIDECAR = "org.dfdm.sidecar"  # the assertion with what is known of the line's file
SELF_MADE = "dfdm-pipeline, a self-made certificate"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SWAP, ORIGINAL, MASK = (
    f"{_SOURCES}{kind}" for kind in ("compositeWithTrainedAlgorithmicMedia", "digitalCapture", "algorithmicMedia")
)
_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # of C2PA in an mp4, before the frames
_HEAD = 2**16
_LACK = "content credentials need c2pa-python: pip install 'dfdm-pipeline[sign]'"


class Signer:
    """Signs videos with the config's key, or with one that is made for this release and that nobody vouches for."""

    def __init__(self, settings: ReleaseConfig) -> None:
        try:
            import c2pa
            from cryptography import x509
            from cryptography.hazmat.primitives import serialization
            from cryptography.x509.oid import NameOID
        except ImportError:
            raise DfdmError(_LACK) from None
        self._c2pa, self.own = c2pa, settings.key is None
        try:
            if settings.key and settings.certificate:
                key, certificate = (at_home(path).read_bytes() for path in (settings.key, settings.certificate))
            else:
                key, certificate = _self_made()
            kind = _algorithm(serialization.load_pem_private_key(key, None))
            read = x509.load_pem_x509_certificate(certificate)
            self._serial = str(read.serial_number)
            names = read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            self._signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(alg=kind, sign_cert=certificate, private_key=key, ta_url=None)
            )
        except (OSError, ValueError, TypeError, c2pa.C2paError) as error:
            raise DfdmError(
                f"release.key and release.certificate cannot sign ({reason(error)}); name an unencrypted PEM key and "
                "its certificate"
            ) from None
        self.name = str(names[0].value) if names else "an unnamed certificate"

    @property
    def text(self) -> str:
        """Who signs, in words."""
        return f"{self.name}, which reads as untrusted" if self.own else f"the certificate of {self.name}"

    def sign(self, source: Path, target: Path, kind: str, sidecar: dict[str, Any]) -> None:
        """Write a signed copy of a video; `kind`: SWAP, ORIGINAL or MASK; DfdmError where that is not possible."""
        created = {"action": "c2pa.created", "digitalSourceType": kind}
        manifest = {
            "claim_generator_info": [{"name": "dfdm-pipeline", "version": __version__}],
            "title": target.name,
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
                {"label": SIDECAR, "data": sidecar},
            ],
        }
        with atomic(target) as temporary:
            try:
                self._c2pa.Builder(manifest).sign_file(source, temporary, self._signer)
            except self._c2pa.C2paError as error:
                raise DfdmError(f"{source} cannot be signed ({reason(error)}); check release.certificate") from None

    def has_signed(self, path: Path, line_sha256: str) -> bool:
        """Whether a file is what this key, or a self-made one before it, signed of the line's file."""
        found = credentials(path) if path.is_file() else None
        if found is None or found["state"] == "Invalid":
            return False
        by_own = found["signer"] == SELF_MADE if self.own else found["serial"] == self._serial
        return bool(by_own and found["sidecar"].get("sha256") == line_sha256)


def credentials(path: Path) -> dict[str, Any] | None:
    """What a video's content credentials say, None where it has none.

    `state`: Invalid, Valid (the certificate is untrusted) or Trusted; `faults`, `signer`, `serial`, `kind` (the digital
    source type) and `sidecar`. DfdmError where c2pa-python is not installed.
    """
    with open(path, "rb") as file:
        if _BOX not in file.read(_HEAD):
            return None
    try:
        import c2pa
    except ImportError:
        raise DfdmError(f"{path} has them; {_LACK}") from None
    try:
        with c2pa.Reader(path) as reader:
            state, told = str(reader.get_validation_state()), json.loads(reader.json())
        active = told["manifests"][told["active_manifest"]]
        data = {one["label"]: one["data"] for one in active["assertions"]}
        signed = active["signature_info"]
        return {
            "state": state,
            "faults": [one["code"] for one in told.get("validation_status", [])],
            "signer": signed.get("common_name") or signed.get("issuer") or "an unnamed certificate",
            "serial": signed.get("cert_serial_number"),
            "kind": data.get("c2pa.actions.v2", {}).get("actions", [{}])[0].get("digitalSourceType", ""),
            "sidecar": data.get(SIDECAR, {}),
        }
    except (c2pa.C2paError, LookupError, ValueError) as error:
        return {"state": "Invalid", "faults": [reason(error)], "signer": "", "serial": "", "kind": "", "sidecar": {}}


def told(path: Path) -> tuple[list[str], bool]:
    """A video's content credentials in words, and whether they are whole; no lines where it has none."""
    try:
        found = credentials(path)
    except DfdmError as error:
        return [f"content credentials: not checked; {error}"], True
    if found is None:
        return [], True
    if found["state"] == "Invalid":
        faults = [fault for fault in found["faults"] if fault != "signingCredential.untrusted"]
        return [
            f"content credentials: not valid ({', '.join(faults)}): the file was changed after it was signed"
        ], False
    trust = (
        "trusted" if found["state"] == "Trusted" else "untrusted: whoever wanted to could have made this certificate"
    )
    kind = found["kind"].removeprefix(_SOURCES)
    lines = [f"content credentials: valid, signed by {found['signer']}, {trust}", f"digital source type: {kind}"]
    if found["sidecar"].get("sha256"):
        lines.append(f"signed from the file {found['sidecar']['sha256']}")
    return lines, True


def _algorithm(key: Any) -> bytes:
    """C2PA's name of a key's algorithm; ValueError for a key that it does not know."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    curves = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey):
        return b"ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return b"ed25519"
    raise ValueError("the key is none of RSA, Ed25519 and the curves P-256, P-384 and P-521")


def _self_made() -> tuple[bytes, bytes]:
    """A key and a certificate that it has signed itself, PEM, which lets a change be seen and proves no origin."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key, oid = ec.generate_private_key(ec.SECP256R1()), NameOID
    said = {oid.COMMON_NAME: SELF_MADE, oid.ORGANIZATION_NAME: "none"}
    name = x509.Name([x509.NameAttribute(place, text) for place, text in said.items()])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    usage = x509.KeyUsage(True, *[False] * 8)  # digital_signature alone
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + 3650 * day)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(pem, *plain), made.public_bytes(pem)
