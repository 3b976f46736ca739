"""Tables as Stata files (version 118, Stata 14 and later)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from pandas.errors import InvalidColumnName

# A file has a time of writing; the same tables are to give the same bytes.
_NO_TIME = datetime(2000, 1, 1)
_LABEL = 80


def write_stata(path: Path, table: pa.Table, labels: Mapping[str, str]) -> None:
    """Write a table.

    A missing text is an empty one, a missing number is `.`, true is 1. Names of more than 32
    characters are cut, and what Stata does not allow in a name becomes an underscore.
    """
    frame = table.to_pandas()
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pa.types.is_boolean(kind):
            frame[name] = frame[name].astype("int8")
        elif pa.types.is_string(kind):
            frame[name] = frame[name].fillna("").astype(object)
        elif not len(frame):
            frame[name] = frame[name].astype(np.float64)
    with warnings.catch_warnings():
        # It tells of every name that was cut; the label keeps the whole of it.
        warnings.simplefilter("ignore", InvalidColumnName)
        frame.to_stata(
            path,
            write_index=False,
            version=118,
            time_stamp=_NO_TIME,
            variable_labels={
                name: f"{name}: {labels.get(name, '')}"[:_LABEL].rstrip(": ")
                for name in table.column_names
            },
        )
