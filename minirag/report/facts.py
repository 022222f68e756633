"""What the run was: its settings, its documents, the models that answered."""

from typing import Any

from minirag.report.layout import section, table
from minirag.report.markup import text
from minirag.report.results import Results


def about(results: Results) -> str:
    """One table, in the order of `run.json`."""
    facts = results.facts
    rows = [[text(name.replace("_", " ")), _setting(value)] for name, value in facts["settings"].items()]
    rows += [["sha256 of " + text(name), text(digest)] for name, digest in facts["documents"].items()]
    rows += [[f"{text(model)} served as", text(", ".join(names))] for model, names in facts["models_served"].items()]
    rows += [["service", text(facts["service"])], ["minirag", text(facts["minirag"])]]
    return section("About this run", table("Settings and sources", ["setting", "value"], rows, numeric=2, breaks=True))


def _setting(value: Any) -> str:
    if isinstance(value, list | tuple):
        return text(", ".join(map(str, value)))
    if value is None or isinstance(value, bool):
        return {None: "not set", True: "yes", False: "no"}[value]
    return text(value)
