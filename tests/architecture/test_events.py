"""What modules tell each other: nothing about a person, and for ever readable by whoever listens."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Final, Literal, Union, get_args, get_origin

import msgspec
import pytest

from entrypoints.commands.docs import NOWHERE
from entrypoints.container import compose
from shared.domain.events import Event
from shared.infra.config import load
from shared.module import Module

MODULES: Final[list[Module]] = compose(load(NOWHERE)).modules()
EVENTS: Final = [event for module in MODULES for event in module.publishes]
STORED: Final = Path(__file__).with_name("event_payloads.json")
"""One payload of every type and version that was ever published. A line is added with an event, and never changed."""

WORDS: Final = {
    "about": "the id of a user or an order",
    "currency": "an ISO 4217 code",
    "failure": "a code of the payment provider",
    "operation": "what was tried at the provider",
    "reference": "an id in the words of whoever pays; the API admits no others",
    "roles": "names of roles",
    "sku": "the stock keeping unit",
    "template": "the name of a template",
}
"""Texts in events that are neither ids nor of a closed vocabulary, and what they hold instead of anything about a person."""


def stored() -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(STORED.read_bytes(), type=dict[str, msgspec.Raw])


def name(event: type[Event]) -> str:
    return f"{event.event_type} v{event.event_version}"


def personal(event: type[Event]) -> list[str]:
    """The fields that might say something about a person."""
    return [field.name for field in msgspec.structs.fields(event) if not all(harmless(field.name, leaf) for leaf in leaves(field.type))]


def leaves(shape: Any) -> Iterator[Any]:
    """The types that values of `shape` are made of."""
    if get_origin(shape) in (Union, UnionType, list):
        for part in get_args(shape):
            yield from leaves(part)
    else:
        yield shape


def harmless(field: str, leaf: Any) -> bool:
    if get_origin(leaf) is Literal or leaf in (int, bool, datetime, NoneType):
        return True
    return leaf is str and (field.endswith("_id") or field in WORDS)


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_an_event_carries_ids_and_amounts_and_nothing_about_a_person(event: type[Event]):
    assert personal(event) == []


class Indiscreet(Event, frozen=True):
    event_type: ClassVar[str] = "elm.felled"
    event_key: ClassVar[str] = "elm_id"
    elm_id: str
    email: str
    reason: str | None
    owners: list[str]
    facts: dict[str, str]
    felled_at: datetime


def test_a_planted_indiscretion_is_found():
    assert personal(Indiscreet) == ["email", "reason", "owners", "facts"]


def test_every_word_is_used():
    used = {field.name for event in EVENTS for field in msgspec.structs.fields(event)}
    assert WORDS.keys() - used == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_an_event_s_type_begins_with_its_module_s_name_and_its_key_is_a_field(module: Module):
    for event in module.publishes:
        assert re.fullmatch(rf"{module.name}\.[a-z]+(_[a-z]+)*", event.event_type)
        assert event.event_version >= 1
        assert event.event_key in event.__struct_fields__


def test_one_type_and_version_is_one_event():
    names = [name(event) for event in EVENTS]
    assert sorted(names) == sorted(set(names))


def test_every_event_has_a_stored_payload():
    assert {name(event) for event in EVENTS} - stored().keys() == set()


@pytest.mark.parametrize("event", EVENTS, ids=name)
def test_what_was_published_once_is_what_is_published_now(event: type[Event]):
    """Decoding and encoding again loses nothing: no field was renamed, dropped or added without a new version."""
    payload = msgspec.json.decode(stored()[name(event)])
    decoded = msgspec.convert(payload, event, strict=True)
    assert msgspec.to_builtins(decoded) == payload
    assert decoded.key


HEARD: Final = [
    pytest.param(subscription.id, kind, on, id=f"{subscription.id} {kind}")
    for module in MODULES
    for subscription in module.subscriptions
    for kind, on in subscription.on.items()
]


@pytest.mark.parametrize(("subscription", "kind", "on"), HEARD)
def test_who_listens_finds_all_that_it_reads(subscription: str, kind: str, on: Any):
    payload = stored()[f"{kind} v{on.version}"]
    assert isinstance(msgspec.json.decode(payload, type=on.shape), on.shape), subscription
