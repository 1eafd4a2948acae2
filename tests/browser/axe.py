"""axe-core looks at a page as it stands: whether everybody can read, reach and understand it (WCAG 2.2 AA and more)."""

import functools
from pathlib import Path

from playwright.sync_api import Frame, Page

SCRIPT = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async (within) => {
  const found = await axe.run(within ?? document, { resultTypes: ["violations"], runOnly: { type: "tag", values: [
    "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] } });
  return found.violations.map((fault) => `${fault.id}: ${fault.help}\\n` + fault.nodes.slice(0, 4).map(
    (node) => `    ${node.target.join(" ")}  ${node.failureSummary.split("\\n").slice(1).join("; ")}`).join("\\n"));
}"""


@functools.cache
def _script() -> str:
    return SCRIPT.read_text()


def faults(page: Page | Frame, within: str | None = None) -> list[str]:
    """What axe finds on a page, or in one element of it, each with where and why. Nothing else on the page changes."""
    # Evaluated by the debugger and not by the page, so that no security policy is in its way.
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(_script() + "; true")
    found: list[str] = page.evaluate(_RUN, within)
    return found


def assert_nothing_found(page: Page | Frame, within: str | None = None, where: str = "") -> None:
    """Fail with all that axe finds."""
    found = faults(page, within)
    assert not found, f"{where or page.url}\n" + "\n".join(found)
