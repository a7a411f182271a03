"""Patch: characters that XML forbids are looked for one by one, each in one go through memory, not by an expression.

Why no text differs: most texts have none and are returned as they are; for all others the stock expression is asked.
"""

from __future__ import annotations

from trafilatura import utils

from gpurefine.stages.extraction.fast.patching import Patches

_CONTROLS = [bytes([each]) for each in range(32) if each not in (9, 10, 13)]
_EXPECTED = "[" + r"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff" + "]"


def patch(patches: Patches) -> None:
    """Put it in. Raises ValueError if the stock expression is another one."""
    stock = utils.INVALID_XML_CHARS
    if stock.pattern != _EXPECTED:
        raise ValueError(f"trafilatura removes the characters {stock.pattern}, not {_EXPECTED}")

    class Forbidden:
        """Stands in for the compiled expression, of which only ``sub`` is used."""

        @staticmethod
        def sub(replacement: str, text: str) -> str:
            # a lone surrogate has no bytes below 32
            data = text.encode(errors="surrogatepass")
            if any(map(data.__contains__, _CONTROLS)) or "\ufffe" in text or "\uffff" in text:
                return stock.sub(replacement, text)
            return text

    patches.put(utils, "INVALID_XML_CHARS", Forbidden)
