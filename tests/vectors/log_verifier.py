"""Checks exports and receipts of a log without any code of linkage: RFC 9162, C2SP signed notes.

    python tests/vectors/log_verifier.py KEY FILE...

KEY is the log's public key, one line. Says what each file holds; stops at the first that lies.
"""

import base64
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def decode(text):
    return base64.b64decode(text, validate=True)


def checkpoint(key, note):
    """Size and root of a signed note; raises where the key did not sign it."""
    name, tag, public = key.strip().split("+", 2)
    raw = decode(public)
    assert raw[0] == 1 and sha(f"{name}\n".encode(), raw)[:4].hex() == tag, "malformed key"
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        data = decode(signature)
        if (dash, signer, data[:4].hex()) == ("—", name, tag):
            Ed25519PublicKey.from_public_bytes(raw[1:]).verify(data[4:], f"{text}\n".encode())
            origin, size, root = text.split("\n")[:3]
            assert origin == name, "a checkpoint of another log"
            return int(size), decode(root)
    raise AssertionError("not signed by the log's key")


def opened(leaf, fields):
    """What a leaf is about, where the file says it."""
    if "salt" not in fields:
        return None
    salt, entry = decode(fields["salt"]), decode(fields["entry"])
    assert len(salt) == 32 and len(leaf) == 32, "malformed leaf"
    assert sha(b"linkage/v1 log entry\0", salt, entry) == leaf, "an entry that is not its leaf's"
    return json.loads(entry)


def tree(hashes):
    """Merkle tree hash of leaf hashes, level by level; an odd one out goes up as it is."""
    if not hashes:
        return sha()
    while len(hashes) > 1:
        pairs = [sha(b"\1", *hashes[i : i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(hashes) & ~1 :]
    return hashes[0]


def root_from(hashed, index, size, proof):
    """The root that a proof of inclusion leads to, from the leaf up."""
    proof = list(proof)
    while size > 1:
        if index % 2:
            hashed = sha(b"\1", proof.pop(0), hashed)
        elif index + 1 < size:
            hashed = sha(b"\1", hashed, proof.pop(0))
        index, size = index // 2, (size + 1) // 2
    assert not proof, "a proof that is too long"
    return hashed


def check_export(key, lines):
    size, root = checkpoint(key, json.loads(lines[0])["checkpoint"])
    leaves, shown = [], []
    for line in lines[1:]:
        fields = json.loads(line)
        leaf = decode(fields["leaf"])
        leaves.append(sha(b"\0", leaf))
        shown.append(opened(leaf, fields))
    assert (len(leaves), tree(leaves)) == (size, root), "the leaves are not those of the checkpoint"
    return shown


def check_receipt(key, fields):
    size, root = checkpoint(key, fields["checkpoint"])
    leaf, index = decode(fields["leaf"]), fields["index"]
    assert 0 <= index < size, "a leaf outside the log"
    found = root_from(sha(b"\0", leaf), index, size, [decode(one) for one in fields["inclusion"]])
    assert found == root, "the leaf is not in the log"
    return [opened(leaf, fields)]


def check(key, path):
    """The entries that a file proves to be in the log; None for one that it does not open."""
    lines = pathlib.Path(path).read_text("utf-8").splitlines()
    first = json.loads(lines[0])
    if first["linkage"] == "log-export/1":
        return check_export(key, lines)
    assert first["linkage"] == "log-receipt/1", "neither an export nor a receipt"
    return check_receipt(key, first)


def main():
    key, *paths = sys.argv[1:]
    for path in paths:
        found = check(key, path)
        kinds = sorted({entry["kind"] for entry in found if entry})
        print(f"{path}: {len(found)} entries hold; opened: {', '.join(kinds) or 'none'}")


if __name__ == "__main__":
    main()
