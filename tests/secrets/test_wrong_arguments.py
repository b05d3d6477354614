"""Errors of wrong arguments, addresses and settings print no token, key or password."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.secrets.hidden import KEY, PASSWORD, SECRETS, TOKEN, WITH_KEY
from tests.stores import Embedder
from tests.walking import places, shown
from vectorize_core import AsyncVectorizeClient, ConfigurationError, VectorizeClient
from vectorize_core.local.server import BackgroundServer, Settings

pytestmark = pytest.mark.covering(2)

MAKERS: dict[str, Callable[..., Any]] = {
    "client": VectorizeClient,
    "async client": AsyncVectorizeClient,
    "langchain": lambda **o: LANGCHAIN.make(**{"index_name": "docs"} | o),
    "llama_index": lambda **o: LLAMA_INDEX.make(**{"index_name": "docs"} | o),
    "from_texts": lambda **o: LANGCHAIN.store.from_texts(  # type: ignore[attr-defined]
        ["a"], Embedder(), **{"index_name": "docs"} | o
    ),
    "afrom_texts": lambda **o: asyncio.run(
        LANGCHAIN.store.afrom_texts(  # type: ignore[attr-defined]
            ["a"], Embedder(), **{"index_name": "docs"} | o
        )
    ),
    "from_documents": lambda **o: LANGCHAIN.store.from_documents(  # type: ignore[attr-defined]
        [], Embedder(), **{"index_name": "docs"} | o
    ),
    "afrom_documents": lambda **o: asyncio.run(
        LANGCHAIN.store.afrom_documents(  # type: ignore[attr-defined]
            [], Embedder(), **{"index_name": "docs"} | o
        )
    ),
    "from_existing_index": lambda **o: LANGCHAIN.store.from_existing_index(  # type: ignore[attr-defined]
        embedding=Embedder(), **{"index_name": "docs"} | o
    ),
    "from_params": lambda **o: LLAMA_INDEX.store.from_params(  # type: ignore[attr-defined]
        **{"index_name": "docs"} | o
    ),
    "from_dict": lambda **o: LLAMA_INDEX.store.from_dict(  # type: ignore[attr-defined]
        {"index_name": "docs", **o}
    ),
}
WRONG: dict[str, dict[str, Any]] = {
    "no account": {"api_token": TOKEN},
    "no account for a key": WITH_KEY,
    "a key without its e-mail address": {"account_id": "a", "api_key": KEY},
    "a line break": {"account_id": "a", "api_token": f"{TOKEN}\n{TOKEN}"},
    "no ASCII": {"account_id": "a", "api_key": f"{KEY}é", "email": "a@b.c"},
    "bytes": {"account_id": "a", "api_token": TOKEN.encode()},
    "a list": {"account_id": "a", "api_key": [KEY], "email": "a@b.c"},
    "another name": {"account_id": "a", "token": TOKEN},
    "a misspelt name": {"account_id": "a", "api_tokn": TOKEN},
    "another wrong argument": {"account_id": "a", "api_token": TOKEN, "nonsense": 1},
    "a wrong timeout": {"account_id": "a", "api_token": TOKEN, "timeout": "x"},
    "a wrong client": {"account_id": "a", "api_token": TOKEN, "http_client": 5},
    "an address as the token": {"account_id": "a", "base_url": TOKEN, "api_token": TOKEN},
    "a token as the account": {"account_id": TOKEN},
    "a key as the e-mail address": {"account_id": "a", "email": KEY},
    "no address": {"account_id": "a", "api_token": TOKEN, "base_url": "nowhere"},
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_arguments(make: Callable[..., Any], wrong: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, TypeError)) as caught:
        make(**wrong)
    assert not places(caught.value, *SECRETS)


def test_too_many_arguments() -> None:
    with pytest.raises(TypeError) as caught:
        VectorizeClient("account", TOKEN, KEY)  # type: ignore[misc]
    assert not places(caught.value, *SECRETS)
    with pytest.raises(ConfigurationError) as failed:
        VectorizeClient(TOKEN)
    assert not places(failed.value, *SECRETS)


POSITIONAL: dict[str, Callable[[Any], Any]] = {
    "langchain": lambda token: LANGCHAIN.store(Embedder(), "docs", token),
    "from_texts": lambda token: LANGCHAIN.store.from_texts(  # type: ignore[attr-defined]
        ["a"], Embedder(), None, token
    ),
    "afrom_texts": lambda token: asyncio.run(
        LANGCHAIN.store.afrom_texts(["a"], Embedder(), None, token)  # type: ignore[attr-defined]
    ),
    "from_existing_index": lambda token: LANGCHAIN.store.from_existing_index(  # type: ignore[attr-defined]
        "docs", Embedder(), token
    ),
    "llama_index": lambda token: LLAMA_INDEX.store("docs", token),
    "from_params": lambda token: LLAMA_INDEX.store.from_params(  # type: ignore[attr-defined]
        "docs", token
    ),
    "from_dict": lambda token: LLAMA_INDEX.store.from_dict({}, token),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("make", POSITIONAL.values(), ids=POSITIONAL)
def test_a_secret_among_positional_arguments_that_are_too_many(make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="by position") as caught:
        make(TOKEN)
    assert not places(caught.value, *SECRETS)


@both_stores
@pytest.mark.parametrize("name", ["client", "index", "http_client", "async_http_client"])
@pytest.mark.parametrize("wrong", [{"api_token": TOKEN}, f"https://u:{PASSWORD}@host", [TOKEN]])
def test_secrets_in_place_of_a_client(kind: Kind, name: str, wrong: Any) -> None:
    options: dict[str, Any] = {"account_id": "a"} if name.endswith("http_client") else {}
    with pytest.raises(ConfigurationError, match=f"{name} is .*; got a {type(wrong).__name__}$"):
        kind.make(index_name="docs", **{name: wrong}, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"api_token": TOKEN, "index_name": "do cs"}, "an index name is made"),
        ({"api_key": KEY, "email": "a@b.c", "wait": 5}, "wait is"),
        ({"api_token": f"{TOKEN} x"}, "the token has a space"),
        ({"api_token": TOKEN, "base_url": f"https://u:{PASSWORD}@host"}, "base_url must not hold"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_an_error_of_pydantic_shows_none(options: dict[str, Any], said: str, nested: bool) -> None:
    data = {"index_name": "docs", "account_id": "a", **options}
    model, given = (Settled, {"store": data}) if nested else (LlamaIndexStore, data)
    with pytest.raises(pydantic.ValidationError, match=said) as caught:
        model.model_validate(given)
    texts = [str(caught.value), shown(caught.value.errors())]
    assert not any(secret in text for text in texts for secret in SECRETS)


class Settled(pydantic.BaseModel):
    """What a program may keep its settings in."""

    store: LlamaIndexStore


def test_pydantic_makes_a_store_with_its_secret() -> None:
    data = {"index_name": "docs", "account_id": "a", "api_token": TOKEN}
    for store in (
        LlamaIndexStore.model_validate(data),
        LlamaIndexStore.model_validate_json(json.dumps(data)),
        Settled(store=data).store,  # type: ignore[arg-type]
    ):
        credentials: Any = store.client.connection.executor
        assert credentials.credentials.headers.reveal() == {"Authorization": f"Bearer {TOKEN}"}
    assert data["api_token"] == TOKEN


@pytest.mark.parametrize("name", ["api_token", "api_key", "base_url", "http_client"])
def test_a_store_is_given_another_secret(name: str) -> None:
    store = LlamaIndexStore("docs", account_id="a", api_token=KEY)
    for give in (setattr, lambda store, *pair: store.model_copy(update=dict([pair]))):
        with pytest.raises(ConfigurationError, match=f"{name} is what a store is made") as caught:
            give(store, name, TOKEN)
        assert not places(caught.value, *SECRETS)


@pytest.mark.parametrize("method", ["from_texts", "from_existing_index", "local", "from_params"])
def test_a_subclass_is_given_the_secret_and_our_frames_do_not_show_it(method: str) -> None:
    kind = LLAMA_INDEX if method == "from_params" else LANGCHAIN
    given: list[str] = []

    class Mine(kind.store):  # type: ignore[name-defined,misc]
        def __init__(self, *args: Any, mine: int, **options: Any) -> None:
            given.append(options["api_token"])
            super().__init__(*args, mine=mine, **options)

    positional = {"from_texts": [["a"], Embedder()], "from_existing_index": ["docs", Embedder()]}
    with pytest.raises(TypeError, match="mine") as caught:
        getattr(Mine, method)(*positional.get(method, [Embedder()]), api_token=TOKEN, mine=1)
    assert given == [TOKEN]
    assert not places(caught.value, *SECRETS)


@both_stores
def test_a_pickle_that_cannot_be_opened(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    store = kind.make(index_name="docs", account_id="a", api_token=TOKEN, base_url="https://host")
    data = pickle.dumps(store)
    for wrong in (f"{TOKEN} x", f"{TOKEN}é"):
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", wrong)
        with pytest.raises(ConfigurationError, match="token has a space") as caught:
            pickle.loads(data)
        assert not places(caught.value, *SECRETS)


ADDRESSES = [
    f"https://user:{PASSWORD}@host/client/v4",
    f"https://user:{PASSWORD} word@host",
    f"https://user:{PASSWORD}/word@host",
    f"https://user:{PASSWORD}?word@host",
    f"https://user:{PASSWORD}#word@host",
    f"https://user:{PASSWORD}@a@b@host",
    f"https://{PASSWORD}@host",
    f"https://user:{PASSWORD}",
    f"https://user:{PASSWORD}/client/v4",
    f"https:user:{PASSWORD}@host",
    f"https:/user:{PASSWORD}@host",
    f"//user:{PASSWORD}@host",
    f"user:{PASSWORD}@host/client/v4",
    f"user:{PASSWORD}",
    f"ftp://user:{PASSWORD}@host",
    f"https://user:{PASSWORD}@host:port",
    f"https://user:{PASSWORD}@host:99999",
    f"https://user:{PASSWORD}@[::1",
    f"https://[::1]:{PASSWORD}",
    f"https://user%3A{PASSWORD}%40host",
    f"https://user%253A{PASSWORD}%2540host",
    f"https://user:{PASSWORD}\N{FULLWIDTH COMMERCIAL AT}host",
    f"https://host/user:{PASSWORD}@client/v4",
    f"https://host/client/v4?token={PASSWORD}",
    f"https://host/client/v4#{PASSWORD}",
    f"https://host/client/v4\n{PASSWORD}@",
    f"\\\\user:{PASSWORD}@host",
    PASSWORD,
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("variable", [None, "CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_BASE_URL"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.covering(2)
def test_a_password_in_an_address(
    make: Callable[..., Any], address: str, variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"account_id": "account", "api_token": TOKEN}
    if variable is None:
        options["base_url"] = address
    else:
        monkeypatch.setenv(variable, address)
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        make(**options)
    assert not places(caught.value, *SECRETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": "\0"},
        {"data": 5},
        {"nonsense": 1},
        {"tokn": TOKEN},
        {"faults": [{"nonsense": 1}]},
        {"token": f"{TOKEN}\udc80"},
        {"token": f"{TOKEN} x"},
        {"token": TOKEN.encode()},
        {"token": ""},
    ],
)
def test_wrong_settings_of_a_server(wrong: dict[str, Any]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        BackgroundServer(Settings(**{"token": TOKEN, **wrong}))
    assert not places(caught.value, *SECRETS)
