"""What a name may be (of a variant, an entry, a benchmark, a tag format, a stage), and how it names a file.

Names become keys, files, columns and headings, so they are checked where they are read. Texts (questions,
outputs, notes, licences) are not: they may hold anything, and are made harmless where they are shown
(`tasks.shown`). Letters and digits are those of any script. A name is compared as it is written, so it must
be in Unicode's normal form C: two names that look alike for being composed differently are not both let in.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from tasks.errors import InputError
from tasks.records import json_type
from tasks.shown import neutral

BASE = "base"
"""The untrained model's, and nobody else's."""
AVERAGE = "macro"
"""What stands in the place of a benchmark where figures are over all of them."""
MOST_BYTES = 200
"""In UTF-8: a folder's name may have 255, some of which are not the entry's own."""
_MOST_FILE_BYTES = 120
_JOINING = "._+-=@:/ '(),&"
# Letters and marks that show nothing: fillers, variation selectors, what joins graphemes.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SIGNS = _JOINING.replace(" ", "")
_MEND = f"use letters, digits, signs of {_SIGNS} and single spaces, in at most {MOST_BYTES} bytes"


def check_name(name: object, where: str, reserved: Iterable[str] = (), what: str = "name") -> str:
    """The name, if it is one.

    Args:
        name: As it was read, of any type.
        where: Begins the error.
        reserved: Names that mean something else here.
        what: It is, in the error.

    Raises:
        InputError: It is no text or empty, too long, reserved, or not of the form: parts that begin with a
            letter or a digit, joined by `/`, of letters, digits and a few signs.
    """
    if not isinstance(name, str) or not name:
        given = "''" if name == "" else json_type(name)
        raise InputError(
            f"{where}: {what}: {given} is no name; write a text of letters and digits, in quotes"
        )
    if name in reserved:
        raise InputError(f"{where}: {what}: '{name}' has a meaning of its own here; choose another name")
    if fault := _fault(name):
        raise InputError(f"{where}: {what}: {_quoted(name)} {fault}; {_MEND}")
    return name


def check_label(text: object, where: str, what: str) -> str:
    """A model's name, an average's: any text of one line without what cannot be printed.

    Raises:
        InputError: It is no such text, or too long.
    """
    if (
        not isinstance(text, str)
        or not text.strip()
        or _num_bytes(text) > MOST_BYTES
        or neutral(text) != text
    ):
        shown = _quoted(text) if isinstance(text, str) else repr(text)
        raise InputError(
            f"{where}: {what}: {shown} must be one line of at most {MOST_BYTES} bytes, all printable"
        )
    return text


def file_name(name: str, others: Iterable[str] = ()) -> str:
    """A name, whatever it holds, as that of one file or folder, which is in no other folder.

    Args:
        name: The name.
        others: Names beside it; where one of them would be a file of the same name, this one gets a digest.
    """
    own = _of_a_file(name)
    clashes = any(_of_a_file(other).casefold() == own.casefold() for other in others)
    if not clashes and own.strip(".") and len(own.encode()) <= _MOST_FILE_BYTES:
        return own
    kept = own.encode()[:_MOST_FILE_BYTES].decode("utf-8", "ignore").strip(".")
    return f"{kept}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _of_a_file(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name)


def _quoted(name: str) -> str:
    return f"'{neutral(name if len(name) <= MOST_BYTES else f'{name[:20]}…')}'"


def _fault(name: str) -> str | None:
    if _num_bytes(name) > MOST_BYTES:
        return f"has {_num_bytes(name):,} bytes"
    bad = next((sign for sign in name if not _may_stand(sign)), None)
    if bad is not None:
        return f"holds '{bad}'" if bad.isprintable() and not _BLANK.match(bad) else f"holds U+{ord(bad):04X}"
    if any(not part or not _is_letter(part[0]) for part in name.split("/")):
        return "has a part that does not begin with a letter or a digit"
    if "  " in name or any(part[-1] in " ." for part in name.split("/")):
        return "has spaces or a dot where they would be lost"
    if not unicodedata.is_normalized("NFC", name):
        return f"is not in Unicode's normal form C (as '{unicodedata.normalize('NFC', name)}' is)"
    return None


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _is_letter(sign: str) -> bool:
    return sign == "_" or unicodedata.category(sign)[0] in "LN"


def _may_stand(sign: str) -> bool:
    known = sign in _JOINING or _is_letter(sign) or unicodedata.category(sign)[0] == "M"
    return known and not _BLANK.match(sign)
