"""The commands that maintain an embedded Vectorize: ``stats``, ``compact``, ``check``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from vectorize_core.cli import output
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import Target, existing_directory, with_target
from vectorize_core.errors import StorageError, VectorizeError

if TYPE_CHECKING:
    from vectorize_core.local import Service
    from vectorize_core.local.integrity import Finding

_NAMED_IDS = 10


@with_target
def stats(target: Target, as_json: AsJson = False) -> None:
    """Show how much an embedded Vectorize holds, and how much of it is obsolete."""
    with _service(target) as service:
        found = service.stats()
    if as_json:
        output.print_json(asdict(found))
        return
    output.print_table(
        (
            "index",
            "vectors",
            "dead slots",
            "dimensions",
            "bytes of values",
            "of codes",
            "compacted",
        ),
        [
            (
                i.name,
                i.vectors,
                i.dead_slots,
                i.dimensions,
                i.value_bytes,
                i.code_bytes,
                i.generation,
            )
            for i in found.indexes
        ],
    )
    output.note(f"the database takes {found.database_bytes} bytes")


@with_target
def compact(
    target: Target,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An index; all without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Free the space of deleted and replaced vectors. Reads go on meanwhile, writes wait."""
    with _service(target) as service:
        freed = service.compact(name)
    if as_json:
        output.print_json({"freedSlots": freed})
    else:
        typer.echo(f"{freed} slots freed" if freed else "nothing to free")


@with_target
def check(
    target: Target,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Repair what can be. Vectors whose values are lost are removed from their index, "
            "and listed. Copy the directory first.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare all of an embedded Vectorize, and of the texts beside it, with its checksums.

    The exit code is 1 if anything is wrong and not repaired.
    """
    with _service(target) as service:
        found = service.check(repair=repair)
        found = replace(found, findings=(*found.findings, *_text_findings(target, service)))
    if as_json:
        output.print_json({"ok": found.ok, **asdict(found)})
    else:
        for finding in found.findings:
            place = "the database" if finding.index is None else finding.index
            repaired = " (repaired)" if finding.repaired else ""
            typer.echo(f"{output.escaped(place)}: {output.escaped(finding.problem)}{repaired}")
            for vector_id in finding.lost[:_NAMED_IDS]:
                typer.echo(f"  {output.escaped(vector_id)}")
            if len(finding.lost) > _NAMED_IDS:
                typer.echo(f"  and {len(finding.lost) - _NAMED_IDS} more; --json names all")
        typer.echo(f"{found.vectors} vectors checked, {len(found.findings)} problems found")
    if not found.ok:
        raise typer.Exit(1)


def _text_findings(target: Target, service: Service) -> Iterator[Finding]:
    """What is wrong with the texts beside it, which the embedded Vectorize itself does not know."""
    from vectorize_core.local.integrity import Finding  # noqa: PLC0415 (sqlite3, where used)
    from vectorize_core.texts import checking, checking_words  # noqa: PLC0415

    assert target.path is not None
    directory = existing_directory(target.path)
    for check in (checking.check, checking_words.check):
        yield from (Finding(None, problem) for problem in check(directory))
    # Where the database cannot be read, that was found already.
    with suppress(StorageError):
        for index in service.list_indexes():
            named = service.select(index.name, checking.name_in)
            gone = checking.missing(directory, list(named.values()))
            if gone:
                yield Finding(
                    index.name,
                    f"the long texts of {len(gone)} vectors are not in {directory}: write these "
                    "records again, or restore texts.sqlite3; unless their store has a texts= that "
                    "keeps them elsewhere",
                    tuple(vector_id for vector_id, name in named.items() if name in gone),
                )


@contextmanager
def _service(target: Target) -> Iterator[Service]:
    """The embedded Vectorize itself, because the API has no such calls."""
    from vectorize_core.local import Service, ServiceFault  # noqa: PLC0415 (sqlite3, where used)

    if target.path is None:
        raise typer.BadParameter("this command is for an embedded Vectorize: give --path DIR")
    service = Service(existing_directory(target.path))
    try:
        yield service
    except ServiceFault as fault:
        raise VectorizeError(fault.message) from None
    finally:
        service.close()
