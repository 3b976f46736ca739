"""Later rounds, and clerical review"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload", sa.Column("round", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "run", sa.Column("uploads", sa.LargeBinary(), nullable=False, server_default="{}")
    )
    op.add_column(
        "release", sa.Column("continuity", sa.LargeBinary(), nullable=False, server_default="{}")
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("left_partner", sa.String(length=63), nullable=False),
        sa.Column("right_partner", sa.String(length=63), nullable=False),
        sa.Column("left_handle", sa.LargeBinary(), nullable=False),
        sa.Column("right_handle", sa.LargeBinary(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("decided_by", sa.String(length=63), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["project.name"], name=op.f("fk_decision_project_project")
        ),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name=op.f("fk_decision_run_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint("request_id", name=op.f("uq_decision_request_id")),
    )
    op.create_index("ix_decision_project", "decision", ["project"])
