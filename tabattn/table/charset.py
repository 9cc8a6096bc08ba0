"""Bytes to text: which character encoding a file has."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

N_SAMPLED = 1 << 18
MIN_PRINTABLE_FRACTION, MIN_ASCII_FRACTION, MIN_ZERO_FRACTION = 0.9, 0.01, 0.2
FIRST_NON_ASCII, FIRST_LATIN_LETTER = 0x80, 0xA0
FIRST_CHINESE, LAST_CHINESE = 0x4E00, 0x9FFF
FIRST_HANGUL, LAST_HANGUL = 0xAC00, 0xD7A3
FIRST_KANA, LAST_KANA, FIRST_NARROW_KANA, LAST_NARROW_KANA = 0x3041, 0x30FF, 0xFF61, 0xFF9F
N_KOREAN_BYTES = 2  # the codec writes syllables of cp949 alone in eight
COMMON, USUAL, SIGN, NARROW, RARE, LATIN = 1.0, 0.8, 0.6, 0.5, 0.2, 0.45
FREQUENT_HANGUL = frozenset(
    "가각간갈감갑값강갖같개객거건걸검것게격견결경계고곡곤골곳공과관광괴교구국군굴권귀규균그극근글금급기긴길김까깨꺼께꼭꽃끝끼"
    "나낙난날남납낮내낸냉너널넘네넷녀년념노녹논놀농높놓누눈뉴느는늘능니님다단달담답당대댁더던덕데도독돈돌동되된두둘드득든들등디딩"
    "따딸때떤떻또뜻라락란람랑래랜량러럭런럼레렉려력련렬렵령례로록론롤료루류륙률르른를름릎리릭린릴림립링마막만많말망맞매맥맨머먼멀메"
    "면멸명모목몰못몸묘무묵문물미민밀및바박반받발밤방배백버번벌범법벗베벨벽변별병보복본볼봉부북분불붙비빈빔빛빠뿐사산살삼상새색샘생"
    "샤서석선설섬섭성세센셀소속손송쇄쇠수숙순술숨쉬스슬습승시식신실심십싱싸쌍써쓰씨아악안알암압앙앞애액야약양어억언얼엄업없었에여역"
    "연열염엽영예오옥온올옮와완왕외요욕용우욱운울움원월위유육율융으은을음응의이익인일임입있잉자작잔잘잠장재쟁저적전절점접정제조족존졸"
    "종좌주죽준줄중즉증지직진질집징짜째쪽차착찬참창찾채책처척천철첨청체초촉총최추축출충취측층치칙친칠침칭카칸칼캐커컨컴컵케켜코콘콜쾌"
    "크큰클키타탁탄탈탑탕태택터털테텍토톤통퇴투튜트특틀티틱팀파판팔패팩퍼페편평폐포폭표푸품풍프플피픽필하학한할함합항해핵했행향허험헤"
    "혁현혈형혜호혹혼홀홍화확환활황회획횟효후훈훨휘휴흐흑흔흘흡흥희히힘"
)
LATIN_IN_WORDS = 0.85
MAX_MIXED = 0.3
_FIRST_FOREIGN = re.compile(r"[^\x00-\x7f]")
_NARROW_KANA = re.compile(r"[\uff61-\uff9f]{2,}")
_LETTERS_IN_WORDS = re.compile(
    r"(?<=[A-Za-z])[^\x00-\x7f]{1,3}(?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f]{1,3}(?=[A-Za-z])"
)
_UTF_8_MARK = b"\xef\xbb\xbf"


def as_utf8(data: bytes) -> bytes:
    """Return text of unknown encoding in UTF-8, see `decode`.

    Args:
        data: The bytes.

    Raises:
        ValueError: These bytes are not text.
    """
    sample = data[:N_SAMPLED]
    if not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) and 0 not in sample:
        with suppress(UnicodeDecodeError):
            data.decode("utf-8")
            return data.removeprefix(_UTF_8_MARK)
    return decode(data).encode("utf-8", "replace")


def decode(data: bytes) -> str:
    """Return text of unknown encoding: UTF-8, UTF-16, UTF-32, cp949 (Korean), Shift-JIS, GBK or cp1252 (Western).

    A byte order mark decides; then zero bytes, which UTF-16 has; then whether it is UTF-8; then in which of the other
    encodings the characters are those that people use: Hangul of the smaller character set, or Chinese characters
    without Hangul among them; kana; the Chinese characters of the first level; letters with accents.

    Args:
        data: The bytes.

    Raises:
        ValueError: These bytes are not text.

    Example:
        >>> decode("온도,ü".encode("utf-16")), decode("온도".encode("cp949")), decode("Höhe;für".encode("cp1252"))
        ('온도,ü', '온도', 'Höhe;für')
        >>> decode("溫度".encode("cp949")), decode("温度,ライン".encode("cp932")), decode("温度,压力".encode("gbk"))
        ('溫度', '温度,ライン', '温度,压力')
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
    scored = {}
    for encoding, scores in _SCORES.items():
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            first = _FIRST_FOREIGN.search(text)
            begin = max(0, first.start() - 1) if first else 0
            scored[encoding] = scores(text[begin : begin + N_SAMPLED])
    if not scored:
        raise ValueError("the text must be UTF-8, UTF-16, cp949, Shift-JIS, GBK or cp1252")
    return data.decode(max(scored, key=lambda encoding: scored[encoding]))


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


def _korean(text: str) -> float:
    """Return how Korean the characters are that are not ASCII, from 0 to 1.

    Source: KS X 1001, which has the 2,350 syllables that Korean is written with; cp949 adds 8,822 others.
    """
    n_hangul = n_common = n_hanja = n_signs = n_all = 0
    for character, count in _foreign(text):
        n_all += count
        if len(character.encode("euc-kr", "ignore")) != N_KOREAN_BYTES:
            continue
        place = ord(character)
        if FIRST_HANGUL <= place <= LAST_HANGUL:
            n_hangul += count
            n_common += count * (character in FREQUENT_HANGUL)
        elif FIRST_CHINESE <= place <= LAST_CHINESE or place >= 0xF900:  # and compatible ones
            n_hanja += count
        else:
            n_signs += count
    is_mixed = n_hangul > 0 and n_hanja > MAX_MIXED * n_hangul
    hangul = COMMON * n_common + SIGN * (n_hangul - n_common)
    return (hangul + (RARE if is_mixed else USUAL) * n_hanja + USUAL * n_signs) / max(n_all, 1)


def _japanese(text: str) -> float:
    """Return how Japanese the characters are that are not ASCII: kana, and kanji of the first level of JIS X 0208."""
    n_narrow = sum(len(run[0]) for run in _NARROW_KANA.finditer(text))
    n_all = sum(count for _, count in _foreign(text))
    return _mean(text, _japanese_score) + (NARROW - RARE) * n_narrow / max(n_all, 1)


def _japanese_score(character: str) -> float:
    place, written = ord(character), character.encode("cp932", "ignore")
    if FIRST_KANA <= place <= LAST_KANA:
        return COMMON
    if FIRST_NARROW_KANA <= place <= LAST_NARROW_KANA or not written:
        return RARE
    if FIRST_CHINESE <= place <= LAST_CHINESE:
        return USUAL if 0x88 <= written[0] <= 0x97 else RARE
    return SIGN if written[0] in {0x81, 0x82, 0x83, 0x84, 0x87} else 0.0


def _chinese(text: str) -> float:
    """Return how Chinese the characters are that are not ASCII: those of the first level of GB 2312."""
    return _mean(text, _chinese_score)


def _chinese_score(character: str) -> float:
    written = character.encode("gb2312", "ignore")
    if len(written) != 2:
        return RARE / 2
    if FIRST_CHINESE <= ord(character) <= LAST_CHINESE:
        return USUAL if 0xB0 <= written[0] <= 0xD7 else RARE
    return SIGN if written[0] in {0xA1, 0xA3} else RARE


def _western(text: str) -> float:
    """Return how Western the characters are that are not ASCII: letters within words, and other printable ones."""
    n_letters = sum(len(run[0]) for run in _LETTERS_IN_WORDS.finditer(text) if run[0].isalpha())
    n_all = sum(count for _, count in _foreign(text))
    n_odd = sum(count for character, count in _foreign(text) if ord(character) < FIRST_LATIN_LETTER)
    return (LATIN_IN_WORDS * n_letters + LATIN * (n_all - n_letters) - LATIN * n_odd) / max(n_all, 1)


def _mean(text: str, score: Callable[[str], float]) -> float:
    counted = _foreign(text)
    return sum(score(character) * count for character, count in counted) / max(sum(count for _, count in counted), 1)


def _foreign(text: str) -> list[tuple[str, int]]:
    """Return the characters that are not ASCII, and how often they occur."""
    return [(character, count) for character, count in Counter(text).items() if ord(character) >= FIRST_NON_ASCII]


_SCORES: Mapping[str, Callable[[str], float]] = {
    "cp949": _korean,
    "cp932": _japanese,
    "gbk": _chinese,
    "cp1252": _western,
}
