"""The frame around the pages: menu, theme, addresses, first paint."""

from __future__ import annotations

import pytest

from dashboards.pages import PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.slug)
def test_every_page_opens_at_its_own_address(tabs, page):
    tab = tabs.open(f"/{page.slug}")
    tab.get_by_text(page.summary).wait_for()
    assert tab.title() == f"{page.title} · MoMa"


def test_the_menu_leads_from_page_to_page_and_back_returns(tabs):
    tab = tabs.open("/")
    tab.get_by_text(PAGES[0].summary).wait_for()
    tab.get_by_role("link", name="Runs").click()
    tab.get_by_text("Everything that ran or runs.").wait_for()
    assert tab.url.endswith("/runs")
    tab.go_back()
    tab.get_by_text(PAGES[0].summary).wait_for()
