"""Contributions to the secret, epochs, versions of a manifest, and the nonces of headers"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "member", sa.Column("in_force", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    version = op.create_table(
        "version",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_version_project_project")
        ),
        sa.PrimaryKeyConstraint("project", "fingerprint", name=op.f("pk_version")),
    )
    epoch = op.create_table(
        "epoch",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_epoch_project_project")
        ),
        sa.PrimaryKeyConstraint("project", "epoch", name=op.f("pk_epoch")),
        sa.UniqueConstraint("project", "request_id", name=op.f("uq_epoch_project")),
    )
    op.create_table(
        "commitment",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("partner", sa.String(length=63), nullable=False),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_commitment_project_project")
        ),
        sa.PrimaryKeyConstraint(
            "project", "fingerprint", "epoch", "partner", name=op.f("pk_commitment")
        ),
    )
    op.create_table(
        "nonce",
        sa.Column("partner", sa.String(length=63), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partner", "nonce", name=op.f("pk_nonce")),
    )
    # What there is begins its history as its first version and epoch. A project whose secret came
    # from one partner goes on with it; the next epoch is made by all.
    connection = op.get_bind()
    project = sa.table(
        "project",
        *(sa.column(name) for name in ("name", "manifest", "fingerprint", "epoch", "created_at")),
    )
    connection.execute(
        version.insert().from_select(
            ["project", "fingerprint", "manifest", "proposed_at", "in_force_at"],
            sa.select(
                project.c.name,
                project.c.fingerprint,
                project.c.manifest,
                project.c.created_at,
                project.c.created_at,
            ),
        )
    )
    connection.execute(
        epoch.insert().from_select(
            ["project", "epoch", "fingerprint", "reason", "started_at", "request_id"],
            sa.select(
                project.c.name,
                project.c.epoch,
                project.c.fingerprint,
                sa.literal(""),
                project.c.created_at,
                sa.literal("0"),
            ),
        )
    )
