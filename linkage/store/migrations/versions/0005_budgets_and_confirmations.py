"""What is used up of a day's budgets, and stewards' confirmations of releases"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "spending",
        sa.Column("project", sa.String(length=63), nullable=False),
        sa.Column("party", sa.String(length=63), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "party", "what", "day", name=op.f("pk_spending")),
    )
    op.create_table(
        "confirmation",
        sa.Column("release", sa.String(length=32), nullable=False),
        sa.Column("steward", sa.String(length=63), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["release"], ["release.id"], name=op.f("fk_confirmation_release_release")
        ),
        sa.PrimaryKeyConstraint("release", "steward", name=op.f("pk_confirmation")),
    )
