"""Which index a call of a Workers binding is about: the protocol itself does not name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vectorize_core.local import faults
from vectorize_core.local.server.endpoints import Call
from vectorize_core.local.service import Service


class BindingIndexes:
    """Finds the index of a call.

    It is the first of these that there is: the header ``x-vectorize-index``; the index in the URL
    (``/proxy/docs`` or ``?index=docs``); what ``by_binding`` has for the binding (``MF-Binding``);
    the index that has the binding's name; ``default``; the only index.
    """

    def __init__(self, by_binding: Mapping[str, str], default: str | None) -> None:
        self._by_binding = dict(by_binding)
        self._default = default

    def of(self, call: Call) -> str:
        """The name of the index; a fault that names the choices if nothing tells."""
        headers = call.headers
        named = (
            headers.get("x-vectorize-index")
            or headers.get("mf-header-x-vectorize-index")
            or call.names.get("index")
            or call.query.get("index")
        )
        if named:
            return named
        binding = headers.get("mf-binding")
        if binding and binding in self._by_binding:
            return self._by_binding[binding]
        names = _names(call.account.service) if binding or not self._default else ()
        if binding and (alike := _alike(binding, names)):
            return alike
        if self._default:
            return self._default
        if len(names) == 1:
            return names[0]
        there = f": {', '.join(names[:10])}" if names else ""
        raise faults.refused(
            f"a binding works on one index and there are {len(names)}{there}; name one in the URL "
            "(/proxy/NAME) or in the header x-vectorize-index, or start the server with "
            f"--binding {(binding or 'BINDING')[:40]}=NAME or --binding-index NAME"
        )


def _alike(binding: str, names: Sequence[str]) -> str | None:
    """The index of a binding's name, which may be in capitals, with ``_`` for ``-``."""
    if binding in names:
        return binding
    found = [name for name in names if _folded(name) == _folded(binding)]
    return found[0] if len(found) == 1 else None


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")


def _names(service: Service) -> Sequence[str]:
    return [details.name for details in service.list_indexes()]
