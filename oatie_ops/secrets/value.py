"""`Secret`: a value that shows itself only when asked by name, and that the redactor knows from birth."""

from __future__ import annotations

import hmac
from typing import NoReturn

from oatie_ops.secrets.redact import MASK, redactor


class Secret:
    """Text or bytes, kept exactly as stored. `reveal` and `reveal_bytes` are the only ways to see it.

    repr, str and format give ``***``; it cannot be pickled, and JSON refuses it or shows the mask.
    Equality is for another `Secret` only and takes constant time.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str | bytes) -> None:
        self.__value = value
        redactor().remember(value)

    def reveal(self) -> str:
        """The text. Raises `UnicodeDecodeError`, without the value, where the secret is not UTF-8."""
        if isinstance(self.__value, str):
            return self.__value
        try:
            return self.__value.decode("utf-8")
        except UnicodeDecodeError:
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "the secret is binary, not text") from None

    def reveal_bytes(self) -> bytes:
        return self.__value.encode("utf-8") if isinstance(self.__value, str) else self.__value

    @property
    def is_binary(self) -> bool:
        """Is it something that cannot be text?"""
        try:
            self.reveal()
        except UnicodeDecodeError:
            return True
        return False

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would be written in the clear")
