"""Opens a report in Chromium: console, requests, filters, keys, load time; pictures of it in light, dark and narrow.

python docs/results/scripts/report_in_browser.py report.html pictures/ [--browser /usr/bin/chromium]

Needs playwright (pip install playwright) and a Chromium. It exits with 1 where something is not as it should be.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

WIDE, NARROW = (1280, 900), (360, 740)


def opened(browser: Any, file: Path, size: tuple[int, int], scheme: str) -> tuple[Any, list[str], list[str], float]:
    """A tab with the page, what its console said, what it asked of a network, and seconds till it was there."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: said.append(f"error: {error}"))
    tab.on("request", lambda request: asked.append(request.url[:100]))
    start = time.perf_counter()
    tab.goto(file.resolve().as_uri(), wait_until="load")
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return tab, said, asked, time.perf_counter() - start


def shown(tab: Any) -> int:
    """How many drawings the page says that it shows."""
    return int(tab.inner_text("#shown").split()[0])


def try_filters(tab: Any) -> list[str]:
    """Uses every filter; returns what was not as expected."""
    wrong = []
    total, flags = shown(tab), tab.eval_on_selector_all("#f-flag option", "all => all.map((one) => one.value)")
    name = tab.get_attribute(".class", "data-name")
    tab.fill("#f-class", name)
    in_class = tab.locator(".class:not([hidden]) li[id]:not([hidden])").count()
    if shown(tab) != in_class or not 0 < in_class <= total:
        wrong.append(f"class {name}: {shown(tab)} told, {in_class} there, {total} in all")
    tab.click("#filters button[type=reset]")
    tab.wait_for_timeout(100)
    for flag in [each for each in flags if each not in ("", "any")]:
        tab.select_option("#f-flag", flag)
        there = tab.locator(f"li[data-f~='{flag}']").count()
        if shown(tab) != there:
            wrong.append(f"flag {flag}: {shown(tab)} told, {there} there")
    tab.click("#filters button[type=reset]")
    tab.wait_for_timeout(100)
    if tab.locator("#f-low").count():
        tab.fill("#f-high", "0.5")
        scores = tab.eval_on_selector_all("li[data-c]", "all => all.map((one) => one.dataset.c)")
        there = sum(score != "" and float(score) <= 0.5 for score in scores)
        if shown(tab) != there:
            wrong.append(f"score to 0.5: {shown(tab)} told, {there} there")
        tab.click("#filters button[type=reset]")
        tab.wait_for_timeout(100)
    if shown(tab) != total:
        wrong.append(f"reset: {shown(tab)} of {total}")
    return wrong


def try_links(tab: Any) -> list[str]:
    """Follows a link of each finding, and one to a class by its name; returns what did not lead where it says."""
    wrong = []
    for link in tab.locator("[data-show]").all():
        flag = link.get_attribute("data-show")
        link.click()
        tab.wait_for_timeout(100)
        if shown(tab) != tab.locator(f"li[data-f~='{flag}']").count():
            wrong.append(f"the link to {flag} shows {shown(tab)} drawings")
    names = tab.eval_on_selector_all(".class", "all => all.map((one) => one.dataset.name)")
    tab.evaluate("(name) => { location.hash = encodeURIComponent(name); }", names[-1])
    tab.wait_for_timeout(300)
    top = tab.locator(".class").last.bounding_box()
    if top is None or not -50 < top["y"] < tab.viewport_size["height"]:
        wrong.append(f"#{names[-1]} leads to {top}")
    return wrong


def try_keys(tab: Any) -> list[str]:
    """Goes to a drawing, looks closely, moves on, marks and closes by keys alone; returns what did not work."""
    wrong = []
    tab.locator(".class:not([hidden]) button.t").first.focus()
    before = tab.evaluate("document.activeElement.closest('li').id")
    tab.keyboard.press("ArrowRight")
    if tab.evaluate("document.activeElement.closest('li').id") == before:
        wrong.append("the right arrow does not move on")
    tab.keyboard.press("Enter")
    if not tab.evaluate("document.getElementById('close-up').open"):
        wrong.append("Enter does not open a drawing")
    title = tab.inner_text("#close-title")
    tab.keyboard.press("ArrowRight")
    if tab.inner_text("#close-title") == title:
        wrong.append("the right arrow does not move on in a close-up")
    tab.keyboard.press("x")
    if tab.input_value("#marked-lines") != tab.inner_text("#close-title"):
        wrong.append("x does not mark")
    return wrong


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright  # an own installation, which no test needs

    options.pictures.mkdir(parents=True, exist_ok=True)
    own, wrong = options.page.resolve().as_uri(), list[str]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for name, size, scheme in (("light", WIDE, "light"), ("dark", WIDE, "dark"), ("narrow", NARROW, "light")):
            tab, said, asked, seconds = opened(browser, options.page, size, scheme)
            tab.screenshot(path=options.pictures / f"{name}.png")
            tab.evaluate("document.getElementById('drawings').scrollIntoView()")
            tab.wait_for_timeout(300)
            tab.screenshot(path=options.pictures / f"{name}-drawings.png")
            overflow = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if overflow > 0:
                wrong.append(f"{name}: the page is {overflow} pixels wider than the window")
            if name != "narrow":
                wrong += try_filters(tab) + try_links(tab) + try_keys(tab)
                tab.wait_for_timeout(200)
                tab.screenshot(path=options.pictures / f"{name}-close.png")
            left = [url for url in asked if url != own and not url.startswith("data:")]
            wrong += [f"{name}: {line}" for line in said] + [f"{name}: asked for {url}" for url in left]
            drawings = tab.locator("li[id]").count()
            print(f"{name}: {drawings} drawings, opened in {seconds:.2f} s, {len(said)} lines in the console")
        browser.close()
    print(f"{options.page}: {options.page.stat().st_size / 1e6:.1f} MB")
    print("\n".join(wrong) or "nothing wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
