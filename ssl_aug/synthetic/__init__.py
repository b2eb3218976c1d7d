"""The synthetic set: what is asked for, what lies on disk, and how one becomes the other."""

from ssl_aug.synthetic.folder import (
    SyntheticSet,
    default_folder,
    is_finished,
    is_imported,
    open_for,
    refuse_set_of_others,
    why_unlabeled,
)
from ssl_aug.synthetic.manifest import COLUMNS, SCORES, read_rows, write_manifest
from ssl_aug.synthetic.requests import Request, make_chunks, make_requests
from ssl_aug.synthetic.selection import best_of_each_class, weights_of
from ssl_aug.synthetic.set_record import PLACES, record_of
from ssl_aug.synthetic.words import places_of, with_words_of_set, word_of
from ssl_aug.synthetic.writer import SetWriter, begun_compiled, images_done, refuse_folder

__all__ = [
    "COLUMNS",
    "PLACES",
    "SCORES",
    "Request",
    "SetWriter",
    "SyntheticSet",
    "begun_compiled",
    "best_of_each_class",
    "default_folder",
    "images_done",
    "is_finished",
    "is_imported",
    "make_chunks",
    "make_requests",
    "open_for",
    "places_of",
    "read_rows",
    "record_of",
    "refuse_folder",
    "refuse_set_of_others",
    "weights_of",
    "why_unlabeled",
    "with_words_of_set",
    "word_of",
    "write_manifest",
]
