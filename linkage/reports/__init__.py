"""Self-contained HTML reports with charts: no script, nothing fetched."""

from linkage.reports.html import (
    Block,
    Chart,
    DataTable,
    Figure,
    KeyFigures,
    Paragraph,
    Section,
    count,
    decimal,
    page,
    percent,
)
from linkage.reports.quality import quality_page

__all__ = [
    "Block",
    "Chart",
    "DataTable",
    "Figure",
    "KeyFigures",
    "Paragraph",
    "Section",
    "count",
    "decimal",
    "page",
    "percent",
    "quality_page",
]
