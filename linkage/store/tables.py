"""The hub's tables. None has a column for an identifier, a secret or content in clear.

Times are UTC, seconds since the epoch. A change here needs a migration; a test compares both.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

party = Table(
    "party",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("signing_key", LargeBinary, nullable=False),
    Column("sealing_key", LargeBinary, nullable=False),
    Column("enrolled_at", BigInteger, nullable=False),
    # Certificates of an earlier generation are refused; see `hub.membership`.
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("revoked_at", BigInteger),
    Column("revoked_for", String(500), nullable=False, server_default=""),
)

# Every certificate the hub issued to a party and that has not run out.
certificate = Table(
    "certificate",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("party", String(63), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_certificate_party", "party"),
)

# Changes of a party's keys, each signed by the old key and the new; the keys are the old ones.
rotation = Table(
    "rotation",
    metadata,
    Column("party", ForeignKey("party.name"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("statement", LargeBinary, nullable=False),
    Column("signing_key", LargeBinary, nullable=False),
    Column("sealing_key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
)

invitation = Table(
    "invitation",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("role", String(16), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # SHA-256 over the keys it was used with: the same party may repeat a broken enrolment.
    Column("used_by", String(64)),
    Column("created_at", BigInteger, nullable=False, server_default="0"),
    Column("withdrawn_at", BigInteger),
    # Whether a party that has enrolled may come with other keys: its own are lost or stolen.
    Column("new_keys", Integer, nullable=False, server_default="0"),
)

project = Table(
    "project",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("party", String(63), primary_key=True),
    # Whether the manifest in force names the party, or only the proposed one.
    Column("in_force", Boolean, nullable=False, server_default=true()),
)

# Every manifest a project had, and the proposed one.
version = Table(
    "version",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("manifest", LargeBinary, nullable=False),
    Column("proposed_at", BigInteger, nullable=False),
    # When it was put in force; none for one that waits for signatures.
    Column("in_force_at", BigInteger),
)

# Every epoch up to the present one, and the manifest it began under.
epoch = Table(
    "epoch",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    # Of the call that asked for it; the epoch itself where a version came into force.
    Column("request_id", String(64), nullable=False),
    UniqueConstraint("project", "request_id"),
)

signature = Table(
    "signature",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("partner", String(63), primary_key=True),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_at", BigInteger, nullable=False),
)

commitment = Table(
    "commitment",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("partner", String(63), primary_key=True),
    Column("commitment", String(64), nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

envelope = Table(
    "envelope",
    metadata,
    Column("project", ForeignKey("project.name"), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("sender", String(63), primary_key=True),
    Column("recipient", String(63), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

upload = Table(
    "upload",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("partner", String(63), nullable=False),
    Column("epoch", Integer, nullable=False),
    # The release of a parcel; empty for others.
    Column("release", String(32), nullable=False),
    # The run and the partner compared with, of answers; empty for others.
    Column("run", String(32), nullable=False, server_default=""),
    Column("other", String(63), nullable=False, server_default=""),
    # Which of the partner's encodings they are, counted from 0; 0 for others.
    Column("round", Integer, nullable=False, server_default="0"),
    Column("header", LargeBinary, nullable=False),
    Column("header_fingerprint", String(64), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    UniqueConstraint("header_fingerprint"),
    Index("ix_upload_project_kind", "project", "kind"),
)

# The nonces of signed headers, until they expire: none is taken twice.
nonce = Table(
    "nonce",
    metadata,
    Column("partner", String(63), primary_key=True),
    Column("nonce", String(32), primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(200), nullable=False),
    Column("progress", Float, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", String(2000), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("request_id", String(64), nullable=False),
    # JSON: the encodings it runs over, upload by partner.
    Column("uploads", LargeBinary, nullable=False, server_default="{}"),
    # When what the run no longer needs was deleted: lists, plans, answers, candidates.
    Column("cleared_at", BigInteger),
    UniqueConstraint("request_id"),
    Index("ix_run_project", "project"),
)

# One list of a comparison round: a partner's rows against another's, or its own.
comparison = Table(
    "comparison",
    metadata,
    Column("run", ForeignKey("run.id"), primary_key=True),
    Column("partner", String(63), primary_key=True),
    Column("other", String(63), primary_key=True),
    # The partner's encodings, whose rows the list names.
    Column("upload", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    # The upload that answers it.
    Column("answers", String(32)),
    Column("answered_at", BigInteger),
)

# What a reviewer decided about two records; only ever added to, the newest counts.
decision = Table(
    "decision",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("left_partner", String(63), nullable=False),
    Column("right_partner", String(63), nullable=False),
    Column("left_handle", LargeBinary, nullable=False),
    Column("right_handle", LargeBinary, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("note", String(500), nullable=False),
    Column("probability", Float, nullable=False),
    Column("decided_by", String(63), nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("request_id", String(64), nullable=False),
    UniqueConstraint("request_id"),
    Index("ix_decision_project", "project"),
)

release = Table(
    "release",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project", ForeignKey("project.name"), nullable=False),
    Column("run", ForeignKey("run.id"), nullable=False),
    Column("threshold", Float, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    # JSON: what became of the linkage ids of the release before; see `hub.release_ids`.
    Column("continuity", LargeBinary, nullable=False, server_default="{}"),
    Column("created_at", BigInteger, nullable=False),
    Column("map_acknowledged_at", BigInteger),
    Column("request_id", String(64), nullable=False),
    UniqueConstraint("request_id"),
    Index("ix_release_project", "project"),
)

approval = Table(
    "approval",
    metadata,
    Column("release", ForeignKey("release.id"), primary_key=True),
    Column("partner", String(63), primary_key=True),
    Column("signature", LargeBinary, nullable=False),
    Column("approved_at", BigInteger, nullable=False),
)

# The transparency log: one row per entry, never changed but for its place, which is given once.
# An entry is written with the change it tells of; see `hub.log`.
log_entry = Table(
    "log_entry",
    metadata,
    # Ordered by time.
    Column("id", String(32), primary_key=True),
    # Its leaf's number in the tree, counted from 0; null until it has one.
    Column("sequence", BigInteger),
    Column("leaf", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    # Who may see the opening, and what it is looked up by; all of it stands in the entry too.
    Column("kind", String(32), nullable=False),
    Column("party", String(80), nullable=False),
    Column("project", String(63), nullable=False),
    Column("subject", String(64), nullable=False),
    UniqueConstraint("sequence"),
    Index("ix_log_entry_subject", "subject", "kind"),
)

# Hashes of complete subtrees of 256 leaves (level 8), of 256 of those (level 16), and so on.
log_node = Table(
    "log_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

# One row: how many leaves the tree has. Who gives out places holds on to it.
log_size = Table(
    "log_size",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
)

# The newest checkpoint that each party says it has seen, signed by it.
log_head = Table(
    "log_head",
    metadata,
    Column("party", ForeignKey("party.name"), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

# A steward's signed confirmation of a proposed release.
confirmation = Table(
    "confirmation",
    metadata,
    Column("release", ForeignKey("release.id"), primary_key=True),
    Column("steward", String(63), primary_key=True),
    Column("signature", LargeBinary, nullable=False),
    Column("confirmed_at", BigInteger, nullable=False),
)

# What is used up of a day's budgets; the party is empty for the project as a whole.
spending = Table(
    "spending",
    metadata,
    Column("project", String(63), primary_key=True),
    Column("party", String(63), primary_key=True),
    Column("what", String(16), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("amount", BigInteger, nullable=False),
)
