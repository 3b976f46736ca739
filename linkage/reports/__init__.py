"""Self-contained HTML reports with charts: no script, nothing fetched."""
