"""Certificates in force, revocation, withdrawn invitations, rotations of keys"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "party", sa.Column("generation", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("party", sa.Column("revoked_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "party", sa.Column("revoked_for", sa.String(length=500), nullable=False, server_default="")
    )
    op.add_column(
        "invitation", sa.Column("created_at", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("invitation", sa.Column("withdrawn_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "invitation", sa.Column("new_keys", sa.Integer(), nullable=False, server_default="0")
    )
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("party", sa.String(length=63), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificate")),
    )
    op.create_index("ix_certificate_party", "certificate", ["party"])
    op.create_table(
        "rotation",
        sa.Column("party", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signing_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealing_key", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["party"], ["party.name"], name=op.f("fk_rotation_party_party")),
        sa.PrimaryKeyConstraint("party", "number", name=op.f("pk_rotation")),
    )
