"""What benchmarks say is hard about their sequences: occlusion, low light and so on, as short names.

AttriSeqsTxt/NAME.txt    LasHeR: 19 numbers, 0 or 1, in the order of `LASHER`
attr_txt/LI.txt          RGBT234, RGBT210: 0 or 1 a sequence, in the order of `SequencesName.txt`
NAME/attrs.txt           OTB: names, separated by commas
NAME/LI.tag              VOT: 0 or 1 a frame; a sequence has what any of its frames has
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dmtrack.errors import FormatError

LASHER: Final = (
    *("NO", "PO", "TO", "HO", "MB", "LI", "HI", "AIV", "LR", "DEF"),
    *("BC", "SA", "CM", "TC", "FL", "OV", "FM", "SV", "ARC"),
)
"""Source: LasHeR toolkit, order of the columns."""


class Attributes:
    """The attributes of the sequences of a data set.

    Args:
        folders: Where the files of all sequences may be: the folder of the truth, that of the data set.

    Raises:
        FormatError: A file is not as it should be.
    """

    def __init__(self, *folders: Path) -> None:
        places = {place for folder in folders for place in (folder, folder.parent)}
        self._columns = next((p / "AttriSeqsTxt" for p in places if (p / "AttriSeqsTxt").is_dir()), None)
        lists = next((p / "attr_txt" for p in places if (p / "attr_txt").is_dir()), None)
        self._listed = {} if lists is None else _listed(lists)

    def of(self, name: str, folder: Path | None) -> frozenset[str]:
        """Return the attributes of a sequence; none where nobody says."""
        found = set(self._listed.get(name, ()))
        if self._columns is not None and (self._columns / f"{name}.txt").is_file():
            found |= _set_columns(self._columns / f"{name}.txt")
        if folder is not None:
            own = folder / "attrs.txt"
            if own.is_file():
                found |= {word.strip() for word in _text(own).split(",") if word.strip()}
            found |= {path.stem for path in folder.glob("*.tag") if "1" in _text(path).split()}
        return frozenset(found)


def _set_columns(path: Path) -> set[str]:
    words = _text(path).replace(",", " ").split()
    if len(words) != len(LASHER):
        raise FormatError(f"has {len(words)} attributes, not {len(LASHER)}", where=path)
    return {name for name, word in zip(LASHER, words, strict=True) if word == "1"}


def _listed(folder: Path) -> dict[str, set[str]]:
    names_file = folder / "SequencesName.txt"
    if not names_file.is_file():
        return {}
    names = _text(names_file).split()
    found: dict[str, set[str]] = {name: set() for name in names}
    for path in sorted(folder.glob("*.txt")):
        if path == names_file:
            continue
        flags = _text(path).split()
        for name, flag in zip(names, flags, strict=False):
            if flag in ("1", "1.0"):
                found[name].add(path.stem)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError("cannot be read as text", where=path) from error
