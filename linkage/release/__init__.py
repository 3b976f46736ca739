"""What leaves after the release: random ids, de-identified content, the joined extract."""

from linkage.release.assemble import Assembled, assemble, dictionary
from linkage.release.deidentify import attach_index_ids, check_deidentified, deidentify_table
from linkage.release.pseudonyms import draw_ids, from_hex, to_hex

__all__ = [
    "Assembled",
    "assemble",
    "attach_index_ids",
    "check_deidentified",
    "deidentify_table",
    "dictionary",
    "draw_ids",
    "from_hex",
    "to_hex",
]
