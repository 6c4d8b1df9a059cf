"""The page for everybody: by keyboard, on small and large screens, with any browser."""

from typing import Any

import pytest

from app.commands.demo import NOISY
from tests.page.browsers import Visit
from tests.page.conftest import visiting

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core")

FIRST_LOAD = 250 * 1024  # bytes
WIDTHS = (375, 768, 1440, 2560)
VIEWS = ("", "#/jobs", "#/help", "#/key", "#/admin")


def serious(page: Any) -> list[str]:
    """What axe-core finds serious or worse."""
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(visit: Visit, job: str, theme: str) -> None:
    visit.go()
    visit.page.evaluate("theme => localStorage.setItem('reucid-theme', theme)", theme)
    visit.page.reload()
    visit.page.wait_for_selector(".drop")
    for view in VIEWS:
        visit.go(view)
        visit.page.wait_for_load_state("networkidle")
        assert serious(visit.page) == [], view
    visit.go(f"#/job/{job}")
    visit.wait_for("residual")
    visit.page.wait_for_selector(".verdict[data-level]")
    for key, tab in (("l", "profile"), ("r", "region"), ("t", "spectrum")):
        visit.press(key)
        visit.page.wait_for_selector(f"[data-tab='{tab}'][aria-selected='true']")
        visit.page.wait_for_load_state("networkidle")
        assert serious(visit.page) == [], tab
    visit.shot(f"result-{theme}")
    visit.go()
    visit.upload(NOISY)
    visit.wait_for("raw")
    assert serious(visit.page) == [], "setup"


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width_holds_everything(browser: Any, server: str, job: str, width: int) -> None:
    visits = visiting(browser, server, viewport={"width": width, "height": 812})
    visit = next(visits)
    for view in (*VIEWS, f"#/job/{job}"):
        visit.go(view)
        visit.page.wait_for_load_state("networkidle")
        wide = visit.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= width, view
    visit.wait_for("residual")
    visit.page.wait_for_selector(".verdict[data-level]")
    wide = visit.page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= width
    visit.shot(f"result-{width}")
    with pytest.raises(StopIteration):
        next(visits)


def test_every_control_has_a_name_and_a_title(visit: Visit, job: str) -> None:
    for view in (*VIEWS, f"#/job/{job}"):
        visit.go(view)
        visit.page.wait_for_load_state("networkidle")
        without = visit.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, main a, header a")]
              .filter(each => !each.title && !each.closest("label[title]"))
              .map(each => each.outerHTML.slice(0, 120))"""
        )
        assert without == [], view


def test_by_keyboard_alone(visit: Visit) -> None:
    choosers: list[Any] = []
    visit.page.on(
        "filechooser", lambda chooser: choosers.append(chooser)
    )  # now: it takes a while to be listened for
    visit.go()
    visit.page.wait_for_selector(".drop")

    def tab_to(label: str) -> None:
        for _ in range(80):
            visit.page.keyboard.press("Tab")
            found = visit.page.evaluate(
                """() => {
                  const on = document.activeElement;
                  return (on.getAttribute("aria-label") || on.textContent).trim();
                }"""
            )
            if found == label:
                return
        pytest.fail(f"no {label!r} is reached by Tab")

    tab_to("Choose files")
    visit.page.keyboard.press("Enter")
    while not choosers:
        visit.drawn()
    choosers[0].set_files(NOISY)
    visit.wait_for("raw")
    tab_to("Denoise")
    visit.page.keyboard.press("Enter")
    visit.wait_for("residual")
    visit.page.evaluate("() => document.activeElement.blur()")
    before = visit.page.locator("section[data-zoom]").get_attribute("data-zoom")
    tab_to("raw")
    visit.press("+")
    assert visit.page.locator("section[data-zoom]").get_attribute("data-zoom") != before
    visit.press("Shift+ArrowLeft")
    assert "row 128, column 127" in visit.value("place")
    visit.press("Shift+Alt+ArrowDown")
    assert "row 138, column 127" in visit.value("place")
    visit.press("w")
    visit.wait_for("wipe")
    visit.press("s")
    visit.press("l")
    visit.page.wait_for_selector("[data-part='profile'] .uplot")
    tab_to("Eigenpatch 2, kept")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_text("1 verdict is yours").wait_for()
    visit.page.get_by_role("button", name="Undo").press("Enter")
    visit.page.get_by_text("1 verdict is yours").wait_for(state="hidden")


def test_the_first_load_is_small(visit: Visit) -> None:
    sizes: dict[str, int] = {}
    visit.page.on(
        "requestfinished",
        lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}),
    )
    visit.go()
    visit.page.wait_for_selector(".drop")
    visit.page.wait_for_load_state("networkidle")
    visit.drawn()
    assert 20_000 < sum(sizes.values()) <= FIRST_LOAD


def test_no_inline_script_runs(visit: Visit) -> None:
    visit.go()
    visit.page.wait_for_selector(".drop")
    visit.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        }"""
    )
    assert visit.page.evaluate("() => window.ran") is None
    assert [each for each in visit.wrongs if "CSP" in each or "Content Security" in each]
    visit.wrongs.clear()
