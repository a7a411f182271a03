"""Patch: rare elements that a page does not have are not looked for one by one, and the text of a leaf is its text.

Why no text differs: deleting elements that are not there deletes nothing, so one look for any of them may stand for the
loops over each; the loops themselves stay, since what they delete of nested elements depends on how they go. An
element without children has no text but its own.
"""

from __future__ import annotations

from typing import Any

from lxml import html
from trafilatura import core, external, htmlprocessing

from gpurefine.stages.extraction.fast.patching import Patches

#: Of the elements that trafilatura deletes, those that most pages do not have.
RARE = frozenset([
    "applet", "area", "audio", "blink", "canvas", "datalist", "dialog", "embed", "fencedframe", "fieldset", "frame",
    "frameset", "legend", "map", "marquee", "math", "menu", "menuitem", "noindex", "object", "optgroup", "option",
    "output", "param", "progress", "rp", "rt", "rtc", "select", "source", "textarea", "time", "track", "use", "video",
])  # fmt: skip


def patch(patches: Patches) -> None:
    """Put it in."""
    all_of_them, stock_clean = htmlprocessing.MANUALLY_CLEANED, htmlprocessing.tree_cleaning
    common = [tag for tag in all_of_them if tag not in RARE]
    rare = [tag for tag in all_of_them if tag in RARE]
    stock_content = html.HtmlMixin.text_content

    def tree_cleaning(tree: Any, options: Any) -> Any:
        absent = next(tree.iter(*rare), None) is None
        htmlprocessing.MANUALLY_CLEANED = common if absent else all_of_them
        return stock_clean(tree, options)

    def text_content(self: Any) -> str:
        return stock_content(self) if len(self) else self.text or ""

    patches.keep(htmlprocessing, "MANUALLY_CLEANED")
    patches.put(core, "tree_cleaning", tree_cleaning)
    patches.put(external, "tree_cleaning", tree_cleaning)
    patches.put(html.HtmlMixin, "text_content", text_content)
