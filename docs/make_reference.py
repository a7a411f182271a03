"""Writes docs/presets.md: presets, stages and their parameters, from the YAML files and the classes themselves.

python docs/make_reference.py            writes the file
python docs/make_reference.py --check    exit code 1 when the file is not what the classes say
"""

from __future__ import annotations

import inspect
import sys
from importlib.resources import files
from pathlib import Path

from gpurefine.config import OutputOptions, find_stage, known_kinds, load_pipeline, preset_names
from gpurefine.read.options import InputOptions
from gpurefine.stages.base import RuleStage

PAGE = Path(__file__).with_name("presets.md")


def reference() -> str:
    """The whole page as Markdown."""
    lines = [
        "# Presets, stages and parameters",
        "",
        "Made by `python docs/make_reference.py` from the presets and classes; do not edit.",
        "A parameter is changed by `--set STAGE.parameter=VALUE`, or in a YAML file of your own.",
        "",
        "## Presets",
        "",
    ]
    for name in preset_names():
        pipeline = load_pipeline(name)
        text = (files("gpurefine.configs") / f"{name}.yaml").read_text("utf-8")
        lines += [f"### {name}", "", pipeline.description.strip(), "", "```yaml", text.strip(), "```", ""]
    lines += ["## Sections", "", *_table("input", InputOptions), *_table("output", OutputOptions), "## Stages", ""]
    for kind in known_kinds():
        stage_class = find_stage(kind)
        lines += [f"### {kind}", "", inspect.cleandoc(stage_class.__doc__ or ""), ""]
        lines += _table("", stage_class)
        if issubclass(stage_class, RuleStage):
            rules = ", ".join(f"`{rule.name} {rule.comparison} {rule.limit:g}`" for rule in stage_class().rules())
            lines += [f"Removes when, in this order: {rules}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(title: str, model: type) -> list[str]:
    lines = [f"### {title}", ""] if title else []
    lines += ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        shown = getattr(field.annotation, "__name__", None) if not getattr(field.annotation, "__args__", None) else None
        kind = (shown or str(field.annotation)).replace("typing.", "").replace("|", "\\|")
        default = "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
        lines.append(f"| `{field.alias or name}` | {kind} | {default} | {field.description or ''} |")
    return [*lines, ""]


def main() -> int:
    """Write the page, or compare it."""
    text = reference()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text("utf-8") != text:
            print(f"{PAGE} is not what the classes say: run `python docs/make_reference.py`", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
