"""Which proxy a request goes through, by the environment variables that Go's programs read.

The law: pure; the environment is given. `HTTP_PROXY` or `HTTPS_PROXY` by the scheme, `NO_PROXY` for what goes directly, each in
upper case first, then in lower case. This machine is never reached through a proxy. Source: golang.org/x/net/http/httpproxy.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from whence.errors import ConfigError

_PORTS = {"http": 80, "https": 443}


def proxy_of(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL for a request to this one, or None. Raises ConfigError for a proxy of another kind than HTTP."""
    target = urlsplit(url)
    named = f"{target.scheme}_proxy"
    proxy = environ.get(named.upper()) or environ.get(named) or ""
    if not proxy or not _is_proxied(target.hostname or "", target.port or _PORTS[target.scheme], environ):
        return None
    return checked(proxy if "://" in proxy else f"http://{proxy}", named.upper())


def checked(proxy: str, said_by: str) -> str:
    """The URL of a proxy that can be used. Raises ConfigError."""
    try:
        found = urlsplit(proxy)
        is_one = found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigError(f"cannot use the proxy that {said_by} names: it must be such as http://proxy:3128")
    return proxy


def _is_proxied(host: str, port: int, environ: Mapping[str, str]) -> bool:
    host = host.lower().rstrip(".")
    if host == "localhost":
        return False
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is not None and address.is_loopback:
        return False
    rules = (environ.get("NO_PROXY") or environ.get("no_proxy") or "").lower().split(",")
    return not any(_fits(rule.strip(), host, port, address) for rule in rules if rule.strip())


def _fits(rule: str, host: str, port: int, address: object) -> bool:
    if rule == "*":
        return True
    if address is not None:
        try:
            if "/" in rule:
                return address in ip_network(rule, strict=False)
            return ip_address(rule.strip("[]")) == address
        except ValueError:
            pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        rule = name.strip("[]")
    if address is not None:
        return rule == str(address)
    rule = rule.removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
