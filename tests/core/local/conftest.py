from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from vectorize_core.local import Behavior, Service, ServiceFault, workers


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(clock: Clock) -> Iterator[Callable[..., Service]]:
    """Makes services whose switches are keyword arguments, and closes them."""
    made: list[Service] = []

    def build(path: object = ":memory:", **switches: object) -> Service:
        made.append(Service(path, behavior=Behavior(**switches), clock=clock))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for service in made:
        service.close()


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Also after a search that no service made."""
    yield
    workers.stop()


@pytest.fixture(params=["memory", "directory"])
def service(request: pytest.FixtureRequest, make: Callable[..., Service]) -> Service:
    if request.param == "memory":
        return make()
    return make(request.getfixturevalue("tmp_path") / "data")


@pytest.fixture
def refused() -> Callable[..., object]:
    """A block that must raise the fault with this code, text and status."""

    @contextmanager
    def check(code: int | None, text: str = "", status: int = 400) -> Iterator[None]:
        with pytest.raises(ServiceFault) as caught:
            yield
        fault = caught.value
        assert text in fault.message
        assert fault.status == status
        if code is None:
            assert "embedded Vectorize: " in fault.message
        else:
            assert fault.code == code

    return check
