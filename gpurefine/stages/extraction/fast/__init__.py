"""trafilatura made faster from outside, to the same bytes: used by the guarded child process.

``accelerate`` says whether the installed versions are known, puts the patches in and tests them. Each patch is a module
that replaces some attributes of trafilatura, justext or lxml (``patching``) and says why no text can differ:
``attribute_tests`` (with ``expressions``, ``needles`` and ``walk``), ``element_classes``, ``readability``,
``link_density``, ``paragraphs``, ``characters``, ``cleaning``.
"""
