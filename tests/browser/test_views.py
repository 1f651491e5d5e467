"""Every view in a real browser: drawn without a fault, in both languages, on a desk and on a phone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from tests.browser.conftest import DESK, PHONE, leave_out

VIEWS = ("ground", "plan", "line", "watch", "people", "programme", "monitor", "law", "compare")
ON_A_MAP = ("ground", "plan", "line", "watch", "people", "compare")
# Words that only the Lithuanian page has on its tabs.
LITHUANIAN = {"ground": "Vietovė", "plan": "Planas", "law": "Teisė"}


def list_overflow(page):
    """What sticks out of the screen to the right and is not inside something that scrolls by itself."""
    return page.evaluate(
        """() => {
          const wide = document.scrollingElement.clientWidth, found = [];
          const whole = document.scrollingElement.scrollWidth;
          if (whole > wide) found.push(`page ${whole} > ${wide}`);
          for (const one of document.querySelectorAll('main *')) {
            const box = one.getBoundingClientRect();
            if (box.width === 0 || box.right <= wide + 1) continue;
            let inside = one.parentElement, scrolls = false;
            while (inside && inside.tagName !== 'MAIN') {
              const flow = getComputedStyle(inside).overflowX;
              if (flow !== 'visible') scrolls = true;
              inside = inside.parentElement;
            }
            if (!scrolls) found.push(`${one.tagName}.${one.className} ${Math.round(box.right)}`);
          }
          return found.slice(0, 5);
        }"""
    )


def switch_language(window):
    window.page.click("header .tools button >> nth=0")
    window.wait()


def test_list_of_views_is_that_of_the_page(served, visit):
    window = visit(served[0])
    window.open()
    shown = window.page.eval_on_selector_all("nav [data-view]", "all => all.map((one) => one.dataset.view)")
    assert tuple(shown) == VIEWS
    window.check()


@pytest.mark.parametrize("view", VIEWS)
def test_view_opens_on_a_desk_in_both_languages(view, served, visit):
    window = visit(served[0], DESK)
    window.open(f"view={view}")
    page = window.page
    assert page.get_attribute("nav [aria-current=page]", "data-view") == view
    texts = {}
    for language in ("en", "lt"):
        if language == "lt":
            switch_language(window)
        assert page.get_attribute("html", "lang") == language
        texts[language] = page.inner_text("main")
        assert len(texts[language]) > 150
        assert page.locator("main .fault, main [role=alert]").all_inner_texts() == []
        for word in ("undefined", "NaN", "[object Object]", "null"):
            assert not re.search(rf"(?<![\\w.]){re.escape(word)}(?![\\w.])", texts[language]), word
        assert list_overflow(page) == []
        window.keep(f"{view}-{language}")
    assert texts["en"] != texts["lt"]
    if view in LITHUANIAN:
        assert page.inner_text("nav [aria-current=page]") == LITHUANIAN[view]
    if view in ON_A_MAP:
        assert page.locator("canvas").first.is_visible()
    window.check()


@pytest.mark.parametrize("view", VIEWS)
def test_view_fits_a_phone(view, served, visit):
    window = visit(served[0], PHONE, "lt-LT", has_touch=True, is_mobile=True)
    window.open(f"view={view}")
    assert window.page.get_attribute("html", "lang") == "lt"
    assert list_overflow(window.page) == []
    window.keep(f"{view}-phone")
    switch_language(window)
    assert list_overflow(window.page) == []
    window.check()


def test_dark_colours_stay_and_every_view_has_them(served, visit):
    window = visit(served[0])
    window.open("view=plan")
    light = window.page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
    window.page.click("header .tools button >> nth=1")
    dark = window.page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
    assert light != dark
    window.keep("plan-dark")
    window.page.reload()
    window.wait()
    assert window.page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor") == dark
    window.check()


def test_a_link_shows_the_same_to_somebody_else(served, visit):
    first = visit(served[0])
    first.open("view=plan&plan=base")
    first.choose("law")
    first.choose("line")
    address = first.page.url
    second = visit(served[0])
    second.page.goto(address)
    second.wait()
    assert second.page.get_attribute("nav [aria-current=page]", "data-view") == "line"
    assert urlsplit(second.page.url).fragment == urlsplit(address).fragment
    second.check()


def test_tabs_are_walked_with_the_keyboard(served, visit):
    window = visit(served[0])
    window.open("view=ground")
    page = window.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("nav [data-view=ground]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("nav [data-view=plan][aria-current=page]")
    page.keyboard.press("End")
    page.wait_for_selector("nav [data-view=compare][aria-current=page]")
    window.wait()
    names = page.eval_on_selector_all(
        "button, input, select, a[href]",
        """all => all.filter((one) => one.checkVisibility()).filter((one) => {
             const labels = [...(one.labels ?? [])].map((label) => label.innerText).join('');
             const told = one.getAttribute('aria-label') || one.innerText || one.title || one.placeholder;
             return !(told || labels);
           }).map((one) => one.outerHTML.slice(0, 120))""",
    )
    assert names == []
    window.check()


def test_one_file_page_opens_without_a_server(built_study, visit, tmp_path):
    file = tmp_path / "page.html"
    asked = [sys.executable, "-m", "abatis.show.cli", "page", str(built_study), "--plan", "base"]
    subprocess.run([*asked, "--write", str(file)], check=True, timeout=300, capture_output=True)
    window = visit(tmp_path.as_uri(), offline=True)
    window.open("view=ground", "/page.html")
    shown = window.page.eval_on_selector_all("nav [data-view]", "all => all.map((one) => one.dataset.view)")
    assert set(shown) >= {"ground", "plan", "line", "people", "law"}
    for view in shown:
        window.choose(view)
        assert len(window.page.inner_text("main")) > 100
        assert (view, window.page.locator("main .fault, main [role=alert]").all_inner_texts()) == (view, [])
        window.keep(f"file-{view}")
    plan = json.loads((built_study / "plans" / "base" / "plan.json").read_text("utf-8"))
    window.choose("plan")
    shown_hours = window.page.inner_text("main table")
    assert f"{plan['approaches'][0]['after_h']:.2f}" in shown_hours
    window.check()


def test_a_request_to_the_world_would_be_noted(browser, way_out, served, visit):
    """Else a count of zero would say nothing: a page, an address without a name, and a worker ask outside."""
    context = browser.new_context()
    page = context.new_page()
    page.goto("about:blank")
    page.evaluate(
        """async () => {
          await fetch('http://example.org/a').catch(() => {});
          await fetch('http://192.0.2.1/b').catch(() => {});
          const work = "fetch('http://example.org/c').finally(() => postMessage(1))";
          const address = URL.createObjectURL(new Blob([work]));
          await new Promise((done) => { new Worker(address).onmessage = done; });
        }"""
    )
    context.close()
    try:
        told = " ".join(way_out.asked)
        for address in ("http://example.org/a", "http://192.0.2.1/b", "http://example.org/c"):
            assert address in told
    finally:
        way_out.asked.clear()


def test_the_runner_never_leaves_these_tests_out(monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        leave_out("no browser")
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception):
        leave_out("no browser")
