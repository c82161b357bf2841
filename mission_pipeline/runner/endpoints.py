"""How an agent's registry entry says it is reached, and whether the policy lets data choose that. Calls nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mission_pipeline.policy import Policy

KINDS = ("python", "command", "http")
_CALLABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_SOUND_URL = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without a backslash: what remains is read alike by every reader of URLs."""


class EndpointFault(Exception):
    """An endpoint that cannot be used. The text ends a sentence about it: `is …` or `names …`."""


class NotAllowed(EndpointFault):
    """An endpoint of the right form, which names what the policy does not allow."""


def check_endpoint(endpoint: Mapping[str, Any], policy: Policy) -> str:
    """Return the endpoint's kind, if its form is right and the policy allows what it names.

    Args:
        endpoint: ``{"kind": "python", "callable": "module:function"}``, ``{"kind": "command", "arguments": [...]}`` or
            ``{"kind": "http", "url": "http://…"}``.
        policy: ``[runner]`` names the modules, first arguments and hosts that may be called.

    Raises:
        EndpointFault: the form is wrong, or ``NotAllowed``: the policy does not allow it.

    """
    match endpoint.get("kind"):
        case "python":
            callable_of(endpoint, policy)
        case "command":
            arguments_of(endpoint, policy)
        case "http":
            url_of(endpoint, policy)
        case other:
            raise EndpointFault(f"has the kind {other!r}, not one of {', '.join(KINDS)}")
    return str(endpoint["kind"])


def callable_of(endpoint: Mapping[str, Any], policy: Policy) -> str:
    """Return the callable of a ``python`` endpoint, as ``module:function``.

    Raises:
        EndpointFault: it is written otherwise, or is in no module that the policy allows.

    """
    name = endpoint.get("callable")
    if not isinstance(name, str) or not _CALLABLE.fullmatch(name):
        raise EndpointFault(f"has the callable {name!r}, not one such as module:function")
    module = name.partition(":")[0]
    allowed = policy.runner.python_modules
    if not any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed):
        raise NotAllowed(f"names the module {module}, which runner.python_modules of the policy does not allow")
    return name


def arguments_of(endpoint: Mapping[str, Any], policy: Policy) -> list[str]:
    """Return the arguments of a ``command`` endpoint, the program first.

    Raises:
        EndpointFault: they are no list of texts, or the program is not exactly one that the policy allows.

    """
    arguments = endpoint.get("arguments")
    if not isinstance(arguments, list) or not arguments or not all(_is_argument(each) for each in arguments):
        raise EndpointFault("has no arguments as a list of texts, the program first")
    if arguments[0] not in policy.runner.commands:
        raise NotAllowed(f"names the command {arguments[0]}, which runner.commands of the policy does not allow")
    return list(arguments)


def _is_argument(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value


def url_of(endpoint: Mapping[str, Any], policy: Policy) -> str:
    """Return the URL of an ``http`` endpoint.

    Raises:
        EndpointFault: it is none of http or https, names a user, or its host is not one that the policy allows.

    """
    url = endpoint.get("url")
    if not isinstance(url, str) or not _SOUND_URL.fullmatch(url):
        raise EndpointFault(f"has the URL {url!r}, not one such as http://127.0.0.1:8080/task")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointFault(f"has the URL {url}, which cannot be read ({error})") from error
    if parts.scheme not in ("http", "https") or not host:
        raise EndpointFault(f"has the URL {url}, not one such as http://127.0.0.1:8080/task")
    if parts.username is not None or parts.password is not None:
        raise EndpointFault("has a URL with a user name or password in it")
    if host not in policy.runner.http_hosts:
        raise NotAllowed(f"names the host {host}, which runner.http_hosts of the policy does not allow")
    return url
