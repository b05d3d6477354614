"""The command ``doctor``: what is installed, what is reachable, and what is wrong."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from vectorize_core.cli import environment, index_report, output
from vectorize_core.cli.errors import as_options
from vectorize_core.cli.output import AsJson
from vectorize_core.cli.target import Target, with_target
from vectorize_core.client import VectorizeClient
from vectorize_core.errors import VectorizeError, in_words
from vectorize_core.transport.credentials import DEFAULT_BASE_URL
from vectorize_core.transport.retry import RetryPolicy

_ONCE = RetryPolicy(read_deadline=0.0, write_deadline=0.0)


@with_target
def doctor(
    target: Target,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An index to examine too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is installed, what is reachable and how, and what is wrong.

    The exit code is 1 if anything is wrong. Shows where credentials come from, never their values.
    """
    problems: list[str] = []
    clash = environment.name_clash()
    if clash is not None:
        problems.append(clash)
    report: dict[str, Any] = {
        "python": environment.python(),
        "packages": environment.packages(),
        "extras": environment.extras(),
        "credentials": environment.credential_sources(target),
        **_service_report(target, name, problems),
    }
    report = {"ok": not problems, "problems": problems, **report}
    if as_json:
        output.print_json(report)
    else:
        _print(report)
    if problems:
        raise typer.Exit(1)


def _service_report(target: Target, name: str | None, problems: list[str]) -> dict[str, Any]:
    """Whether one request reaches the service, and a report on the index ``name``."""
    service: dict[str, Any] = {"place": None, "reachable": False}
    report: dict[str, Any] = {"service": service}
    try:
        client = target.client(_ONCE)
        service.update(_service_address(target))
    except VectorizeError as error:
        problems.append(as_options(str(error)))
        return report
    with client:
        if not _reach(client, service, problems) or name is None:
            return report
        try:
            found = index_report.examine(client.index(name))
        except VectorizeError as error:
            problems.append(as_options(str(error)))
            return report
        problems += found.pop("problems")
        return {**report, "index": found}


def _service_address(target: Target) -> dict[str, Any]:
    if target.path is not None:
        return {"kind": "embedded", "place": target.description}
    address = target.credentials().base_url
    kind = "Cloudflare" if address == DEFAULT_BASE_URL else "server"
    return {"kind": kind, "place": target.description, "baseUrl": address}


def _reach(client: VectorizeClient, service: dict[str, Any], problems: list[str]) -> bool:
    started = time.perf_counter()
    try:
        listed = client.list_indexes()
    except (VectorizeError, OSError) as error:
        said = as_options(str(error) or in_words(error))
        problems.append(f"no use of {service['place']}: {said}")
        return False
    latency = (time.perf_counter() - started) * 1_000
    service.update(reachable=True, latencyMs=round(latency, 2), indexes=len(listed))
    return True


def _print(report: dict[str, Any]) -> None:
    service, sources = report["service"], report["credentials"]
    fields: list[tuple[str, Any]] = [
        ("Python", " ".join(report["python"].values())),
        *((name, version or "not installed") for name, version in report["packages"].items()),
        *((f"extra {extra}", _versions(found)) for extra, found in report["extras"].items()),
        *((f"{what} from", source or "nowhere") for what, source in sources.items()),
        ("Vectorize", service["place"] or "none: see below"),
    ]
    if service["reachable"]:
        fields.append(
            ("reached", f"{service['indexes']} indexes, answered in {service['latencyMs']} ms")
        )
    if "index" in report:
        fields += index_report.lines(report["index"])
    output.print_fields(fields)
    for problem in report["problems"]:
        # On stdout, because it is the result of this command.
        typer.echo(f"problem: {output.escaped(problem)}")
    if report["ok"]:
        typer.echo("no problem found")


def _versions(found: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'not installed'}" for name, version in found.items())
