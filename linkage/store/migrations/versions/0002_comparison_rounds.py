"""Comparison rounds"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comparison",
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("partner", sa.String(length=63), nullable=False),
        sa.Column("other", sa.String(length=63), nullable=False),
        sa.Column("upload", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.String(length=32), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_comparison_run_run")),
        sa.PrimaryKeyConstraint("run", "partner", "other", name=op.f("pk_comparison")),
    )
    op.add_column("run", sa.Column("cleared_at", sa.BigInteger(), nullable=True))
    for name, length in (("run", 32), ("other", 63)):
        op.add_column(
            "upload",
            sa.Column(name, sa.String(length=length), nullable=False, server_default=""),
        )
