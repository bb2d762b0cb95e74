"""Rendering: MiniJinja templates of this package, in the reader's language where there is one."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from minijinja import Environment

from modules.notifications.domain.notification import Template
from modules.notifications.domain.ports import Content
from shared.domain.money import Money, exponent

FALLBACK: Final = "en"
_FOLDER: Final = Path(__file__).with_name("templates")
_COMMA_LANGUAGES: Final = frozenset({"de"})


class TemplateRenderer:
    """Implements Renderer. A fact that a template names and does not get is an error, never a gap in the text."""

    def __init__(self) -> None:
        self._environment = Environment(loader=_load, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True)
        self._locales = frozenset(path.name.split(".")[1] for path in _FOLDER.glob("*.*.txt"))

    def render(self, template: Template, locale: str, facts: Mapping[str, object]) -> Content:
        """See Renderer.render."""
        found = self._nearest(locale)
        words = {**facts, "money": lambda amount: money(amount, found)}
        subject, _, text = self._environment.render_template(f"{template}.{found}.txt", **words).partition("\n")
        html = self._environment.render_template(f"{template}.{found}.html", subject=subject, **words)
        return Content(locale=found, subject=subject.strip(), text=text.lstrip("\n"), html=html)

    def _nearest(self, locale: str) -> str:
        return next((known for known in (locale, locale.partition("-")[0]) if known in self._locales), FALLBACK)


def money(amount: Money, locale: str) -> str:
    """`1,234.50 USD`, with the separators of the reader's language."""
    number = f"{Decimal(amount.amount).scaleb(-exponent(amount.currency)):,f}"
    if locale in _COMMA_LANGUAGES:
        number = number.translate(str.maketrans(",.", ".,"))
    return f"{number} {amount.currency}"


def _load(name: str) -> str | None:
    path = _FOLDER / name
    return path.read_text(encoding="utf-8") if path.is_file() else None
