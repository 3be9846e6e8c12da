"""From the id of an item, any text, to the name of its result folder, safe on every file system."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

_MAX_BYTES: Final = 180
"""Leaves room for a temporary name within the 255 bytes that file systems allow."""
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_OWN: Final = re.compile(r"summary.*\.csv", re.IGNORECASE)


def folder_name(item_id: str) -> str:
    """Return the folder of an item: its id, with what a file system or a shell may trip over replaced.

    Spaces and letters of any script stay. Slashes of nested ids become `__`; characters that some
    system forbids, a leading dash or dot, and a trailing dot become `_`; a very long id is cut and
    told apart by a digest.
    """
    name = unicodedata.normalize("NFC", item_id).strip().replace("/", "__")
    name = _FORBIDDEN.sub("_", name)
    name = re.sub(r"^[-.~]", "_", name)
    name = re.sub(r"[. ]$", "_", name)
    if not name or _DEVICES.fullmatch(name) or _OWN.fullmatch(name):
        name = f"{name}_"
    if len(name.encode()) > _MAX_BYTES:
        digest = hashlib.sha256(item_id.encode(errors="backslashreplace")).hexdigest()[:8]
        name = f"{name.encode()[: _MAX_BYTES - 9].decode(errors='ignore').rstrip('. ')}-{digest}"
    return name


def place_key(name: str) -> str:
    """Return what two folder names share when some file system takes them for the same one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
