"""Templates: every message in every language, nothing unescaped, nothing left out."""

import re

import pytest
from minijinja import TemplateError

from modules.notifications.domain.notification import Template
from modules.notifications.domain.ports import Order, OrderLine
from modules.notifications.infra.rendering import TemplateRenderer, money
from shared.domain.money import Money

ORDER = Order(
    id="ord_1",
    number="100001",
    user_id=None,
    guest_email="guest@example.org",
    lines=[OrderLine(title="Oak <stool> & more", sku="STOOL", quantity=2, total=Money(219_900, "USD"))],
    total=Money(219_900, "USD"),
)
FACTS = {"name": "Ada <script>", "link": "https://shop.example/verify?a=1&b=2", "order": ORDER}


@pytest.mark.parametrize("template", Template)
@pytest.mark.parametrize(("locale", "found"), [("en", "en"), ("en-GB", "en"), ("de", "de"), ("de-AT", "de"), ("fr", "en"), ("", "en")])
def test_every_template_is_found_in_the_readers_language_or_in_english(template: Template, locale: str, found: str):
    content = TemplateRenderer().render(template, locale, FACTS)
    assert content.locale == found
    assert content.subject
    assert "\n" not in content.subject
    assert f'<html lang="{found}">' in content.html
    assert content.text
    assert not content.text.startswith(content.subject)


@pytest.mark.parametrize("template", Template)
def test_what_people_typed_is_escaped_in_html_and_left_alone_in_text(template: Template):
    content = TemplateRenderer().render(template, "en", FACTS)
    assert "<script>" not in content.html
    assert "<stool>" not in content.html
    assert "Ada <script>" in content.text


def test_the_link_works_in_both_forms():
    content = TemplateRenderer().render(Template.VERIFY_ADDRESS, "en", FACTS)
    assert "https://shop.example/verify?a=1&b=2" in content.text
    href = re.search(r'href="([^"]+)"', content.html)
    assert href is not None
    assert href[1].replace("&#x2f;", "/").replace("&amp;", "&") == "https://shop.example/verify?a=1&b=2"


def test_the_order_is_listed_line_by_line_with_its_total():
    content = TemplateRenderer().render(Template.ORDER_CONFIRMED, "de", FACTS)
    for form in (content.text, content.html):
        assert "100001" in form
        assert form.count("2.199,00 USD") == 2


def test_a_guest_without_a_name_is_greeted_without_one():
    content = TemplateRenderer().render(Template.ORDER_CONFIRMED, "en", {**FACTS, "name": ""})
    assert content.text.startswith("Hello,")


@pytest.mark.parametrize("missing", ["order", "name"])
def test_a_missing_fact_is_an_error_and_no_gap_in_the_text(missing: str):
    facts = {name: fact for name, fact in FACTS.items() if name != missing}
    with pytest.raises(TemplateError):
        TemplateRenderer().render(Template.ORDER_CONFIRMED, "en", facts)


@pytest.mark.parametrize(
    ("amount", "locale", "written"),
    [
        (Money(123_456_789, "USD"), "en", "1,234,567.89 USD"),
        (Money(123_456_789, "USD"), "de", "1.234.567,89 USD"),
        (Money(1234, "JPY"), "en", "1,234 JPY"),
        (Money(1234, "KWD"), "de", "1,234 KWD"),
        (Money(-5, "EUR"), "en", "-0.05 EUR"),
    ],
)
def test_money_is_written_as_the_reader_writes_it(amount: Money, locale: str, written: str):
    assert money(amount, locale) == written
