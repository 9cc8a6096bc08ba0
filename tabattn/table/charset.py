"""Bytes to text: which character encoding a file has."""

from collections import Counter
from contextlib import suppress

N_SAMPLED = 1 << 18
MIN_PRINTABLE_FRACTION, MIN_ASCII_FRACTION, MIN_ZERO_FRACTION = 0.9, 0.01, 0.2
MAX_ODD_HANGUL_FRACTION = 0.5
FIRST_NON_ASCII, FIRST_CHINESE, LAST_CHINESE = 0x80, 0x4E00, 0x9FFF
N_KOREAN_BYTES = 2  # the codec writes syllables of cp949 alone in eight


def decode(data: bytes) -> str:
    """Return text of unknown encoding: UTF-8, UTF-16, UTF-32, cp949 (Korean) or cp1252 (Western).

    A byte order mark decides; then zero bytes, which UTF-16 has; then what can be decoded at all, in this order.
    Western text can often be decoded as Korean too: it is not Korean if most of what is not ASCII would be syllables
    that Korean hardly uses, or Chinese characters.

    Args:
        data: The bytes.

    Raises:
        ValueError: These bytes are not text.

    Example:
        >>> decode("온도,ü".encode("utf-16")), decode("온도".encode("cp949")), decode("Höhe;für".encode("cp1252"))
        ('온도,ü', '온도', 'Höhe;für')
        >>> decode("µm;°C".encode("cp1252"))
        'µm;°C'
    """
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return data.decode("utf-32")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    sample = data[:N_SAMPLED]
    if sample.count(0) <= MIN_ZERO_FRACTION * len(sample):
        with suppress(UnicodeDecodeError):
            return data.decode("utf-8-sig")
    if 0 in sample:
        return _decode_utf_16(data)
    readings = _readings(data, "cp949", "cp1252")
    if not readings:
        raise ValueError("the text must be UTF-8, UTF-16, cp949 or cp1252")
    return readings[0] if _is_likely_korean(readings[0]) else readings[-1]


def _readings(data: bytes, *encodings: str) -> list[str]:
    """Return the texts that bytes decode to, in the encodings in which they can be decoded."""
    readings = []
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            readings.append(data.decode(encoding))
    return readings


def _decode_utf_16(data: bytes) -> str:
    """Return text with zero bytes but no byte order mark, in the byte order that gives more ASCII characters."""
    readings = _readings(data, "utf-16-le", "utf-16-be")
    text = max(readings, key=lambda reading: sum(map(str.isascii, reading[:N_SAMPLED])), default="")
    shown = text[:N_SAMPLED]
    n_readable = sum(character.isprintable() or character in "\r\n\t" for character in shown)
    n_ascii = sum(map(str.isascii, shown))
    if (
        n_readable < MIN_PRINTABLE_FRACTION * len(shown)
        or "\0" in shown
        or not n_ascii > MIN_ASCII_FRACTION * len(shown)
    ):
        raise ValueError("it is not text")
    return text


def _is_likely_korean(text: str) -> bool:
    """Return whether most characters that are not ASCII are Hangul or others of the older, smaller character set.

    Source: KS X 1001, which has the 2,350 syllables that Korean is written with; cp949 adds 8,822 others.
    """
    n_odd = n_non_ascii = 0
    for character, count in Counter(text).items():
        if ord(character) >= FIRST_NON_ASCII:
            n_non_ascii += count
            is_chinese = FIRST_CHINESE <= ord(character) <= LAST_CHINESE
            n_odd += count * (is_chinese or len(character.encode("euc-kr", "ignore")) != N_KOREAN_BYTES)
    return n_odd <= MAX_ODD_HANGUL_FRACTION * n_non_ascii
