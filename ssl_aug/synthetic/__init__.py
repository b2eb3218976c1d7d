"""The synthetic set: what is asked for, what lies on disk, and how one becomes the other."""

from ssl_aug.synthetic.folder import (
    COLUMNS,
    SCORES,
    SyntheticSet,
    default_folder,
    open_for,
    read_rows,
    write_manifest,
)
from ssl_aug.synthetic.requests import Request, class_folder, make_chunks, make_requests
from ssl_aug.synthetic.selection import best_of_each_class, weights_of
from ssl_aug.synthetic.writer import SetWriter

__all__ = [
    "COLUMNS",
    "SCORES",
    "Request",
    "SetWriter",
    "SyntheticSet",
    "best_of_each_class",
    "class_folder",
    "default_folder",
    "make_chunks",
    "make_requests",
    "open_for",
    "read_rows",
    "weights_of",
    "write_manifest",
]
