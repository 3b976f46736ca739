"""From a partner's columns to encodings: normalise, cut into tokens, combine under a key.

Pure: arrays in, arrays out. Only a partner's agent imports this package; the hub must not.
"""

from linkage.encoding.dates import DEFAULT_DATE_FORMATS
from linkage.encoding.encoder import Encoded, Encoder, GivesEncodings
from linkage.encoding.normalise import NormalisedColumn, normalise_column

__all__ = [
    "DEFAULT_DATE_FORMATS",
    "Encoded",
    "Encoder",
    "GivesEncodings",
    "NormalisedColumn",
    "normalise_column",
]
