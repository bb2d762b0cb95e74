"""The composition holds: every provider of every container resolves, and what modules mount is what their cards say."""

from typing import Any, Final

import pytest
from dependency_injector import containers, providers
from dependency_injector.errors import Error

from entrypoints.commands.cards import cards
from entrypoints.commands.docs import NOWHERE
from entrypoints.container import Root, compose, hosted
from shared.infra.config import ConfigurationError, load
from shared.module import Module
from tests.architecture.tree import module_names

CARDS: Final = {card.module: card for card in cards()}


@pytest.fixture(scope="module")
async def root() -> Root:
    """Of an application that connects to nothing."""
    return compose(load(NOWHERE))


def named(container: Any, prefix: str = "") -> dict[str, providers.Provider[object]]:
    """Every provider of `container` and of those inside it, by its dotted name."""
    found: dict[str, providers.Provider[object]] = {}
    for name, provider in container.providers.items():
        if isinstance(provider, providers.Container):
            found |= named(provider, f"{prefix}{name}.")
        elif not isinstance(provider, providers.DependenciesContainer):
            found[prefix + name] = provider
    return found


async def test_every_provider_of_every_container_resolves(root: Root):
    every = named(root)
    assert {name.split(".")[0] for name in every} >= {"shared", *module_names()}
    faults = {}
    for name, provider in every.items():
        try:
            provider()
        except (Error, TypeError, AttributeError, ValueError) as error:
            faults[name] = repr(error)
    assert faults == {}


async def test_the_root_collects_every_module(root: Root):
    assert sorted(module.name for module in root.modules()) == module_names()


async def test_a_provider_with_a_wrong_argument_is_found():
    class Broken(containers.DeclarativeContainer):
        settings = providers.Object(1)
        wrong = providers.Singleton(compose, setting=settings)

    with pytest.raises(TypeError):
        named(Broken())["wrong"]()


def modules(root: Root) -> dict[str, Module]:
    return {module.name: module for module in root.modules()}


@pytest.mark.parametrize("name", module_names())
async def test_a_module_publishes_what_its_card_says(name: str, root: Root):
    assert sorted(event.event_type for event in modules(root)[name].publishes) == sorted(CARDS[name].publishes)


@pytest.mark.parametrize("name", module_names())
async def test_a_module_listens_to_whom_its_card_says(name: str, root: Root):
    assert {subscription.publisher for subscription in modules(root)[name].subscriptions} == set(CARDS[name].listens)


async def test_every_event_that_is_listened_to_is_published(root: Root):
    published = {event.event_type for module in root.modules() for event in module.publishes}
    heard = {kind for module in root.modules() for subscription in module.subscriptions for kind in subscription.on}
    assert heard - published == set()


async def test_a_process_hosts_the_modules_of_its_settings(root: Root):
    assert [module.name for module in hosted(compose(load({**NOWHERE, "TENON_MODULES": "payments"})))] == ["payments"]


async def test_every_role_has_two_connections_or_the_process_does_not_start():
    number = len(module_names())
    few = {**NOWHERE, "TENON_DB_CONNECTIONS": str(2 * number - 1)}
    with pytest.raises(ConfigurationError, match=f"TENON_DB_CONNECTIONS: {number} modules need {2 * number} or more"):
        hosted(compose(load(few)))
    assert hosted(compose(load({**few, "TENON_MODULES": "payments,orders"})))
    assert hosted(compose(load({**few, "TENON_DB_CONNECTIONS": str(2 * number)})))


async def test_a_module_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="there is no module paiments"):
        hosted(compose(load({**NOWHERE, "TENON_MODULES": "paiments"})))
