"""How a store differs from the list of what it should hold. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, by ids in order; ``str`` of it tells how many.

    ``missing`` is listed, and not in the store; ``extra`` is in the store, and not listed;
    ``changed`` is in both, with other contents than those that are listed. With ``repaired``, it
    was so before the repair. ``incomplete`` are other documents of LlamaIndex that have lost nodes,
    or whose pipeline left some out: a node that is stored names one that is not as its neighbour,
    or one is listed and not stored. ``left`` are those of all these that the repair left alone.
    """

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    repaired: bool = False
    incomplete: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.extra or self.changed or self.incomplete)

    def __str__(self) -> str:
        kinds = {"missing": self.missing, "extra": self.extra, "changed": self.changed}
        if self.incomplete:
            kinds["incomplete"] = self.incomplete
        return ", ".join(f"{len(ids)} {kind}" for kind, ids in kinds.items())
