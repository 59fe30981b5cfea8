"""Billed segments of a text (3GPP TS 23.038)."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("|^€{}[]~\\\f")


def count_segments(body: str) -> int:
    """Count segments of 160 or 153 septets, or 70 or 67 UTF-16 units; never split a character."""
    if all(character in _BASIC or character in _EXTENDED for character in body):
        sizes = [2 if character in _EXTENDED else 1 for character in body]
        return _pack(sizes, 160, 153)
    return _pack([len(character.encode("utf-16-le")) // 2 for character in body], 70, 67)


def _pack(sizes: list[int], alone: int, joined: int) -> int:
    """Count parts of ``joined`` units; one if everything fits into ``alone``."""
    if sum(sizes) <= alone:
        return 1
    parts, used = 1, 0
    for size in sizes:
        if used + size > joined:
            parts, used = parts + 1, 0
        used += size
    return parts
