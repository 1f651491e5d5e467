"""Commands of the server: the page over HTTP, and who may log in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from abatis.show.commands.arguments import AsJson, StudyFolder
from abatis.show.tables import print_message, show_tables

app = typer.Typer()
users = typer.Typer(help="Who may log in to the server of a study, and in which role.", no_args_is_help=True)
app.add_typer(users, name="users")

UserName = Annotated[str, typer.Argument(metavar="NAME", help="name of the user")]
Role = Annotated[str, typer.Option(help="viewer, planner, auditor or admin")]


@app.command("serve")
def serve_study(
    study: StudyFolder,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port; 0 for any free one")] = 8000,
    host: Annotated[
        str, typer.Option(help="address to listen on; any but this machine's own needs users")
    ] = "127.0.0.1",
    public: Annotated[bool, typer.Option("--public", help="show the public view without a login")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="do not open the page in a browser")] = False,
    name: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="a name of this server; may be repeated")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM certificate: https")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM key of the certificate")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="a proxy on this machine speaks https for the server")
    ] = False,
    tiles: Annotated[
        str, typer.Option(metavar="ADDRESS", help="map tiles outside; none, and nothing outside is asked")
    ] = "",
) -> None:
    """Serve the page of a study; on this machine alone unless told otherwise."""
    from abatis.show.app.serving import serve
    from abatis.show.app.settings import Settings

    https = certificate is not None or behind_proxy
    settings = Settings(study, host, port, public, https, behind_proxy, tiles, tuple(name or ()))
    serve(settings, certificate, key, not no_open)


@users.command("add")
def add(study: StudyFolder, name: UserName, role: Role = "viewer") -> None:
    """Add a user; the password is asked for, or read from standard input."""
    from abatis.show.app.user_list import add_user

    add_user(study, name, role)
    print_message(f"{name} may log in as {role}.")


@users.command("list")
def list_users(study: StudyFolder, as_json: AsJson = False) -> None:
    """List users and roles."""
    from abatis.show.app.user_list import tabulate_users

    show_tables({"users": tabulate_users(study)}, as_json)


@users.command("remove")
def remove(study: StudyFolder, name: UserName) -> None:
    """Remove a user and end the user's logins."""
    from abatis.show.app.user_list import remove_user

    remove_user(study, name)
    print_message(f"{name} may not log in any more.")


@users.command("role")
def change_role(study: StudyFolder, name: UserName, role: Annotated[str, typer.Argument()]) -> None:
    """Give a user another role; it holds at once."""
    from abatis.show.app.user_list import change_role

    change_role(study, name, role)
    print_message(f"{name} is {role} now.")


@users.command("password")
def change_password(study: StudyFolder, name: UserName) -> None:
    """Give a user another password and end the user's logins."""
    from abatis.show.app.user_list import change_password

    change_password(study, name)
    print_message(f"The password of {name} is another now.")
