"""Connections of an exporter over HTTP: kept and left as the Collector's keys say, through a proxy where there is one."""

import os
import time

import urllib3

from whence.collect.exporters.http_client import pool_of
from whence.collect.exporters.proxies import checked, proxy_of
from whence.collect.settings import HTTPClient


class Connections:
    """To the hosts of some URLs. Thread-safe."""

    def __init__(self, settings: HTTPClient, at_once: int, urls: list[str]) -> None:
        """`at_once`: requests that are sent at the same time. Raises ConfigError."""
        self._settings = settings
        self._ways = {url: self._proxy(url) for url in urls}
        self._pools = {proxy: pool_of(settings, at_once, proxy) for proxy in set(self._ways.values())}
        self._used = time.monotonic()

    def to(self, url: str) -> urllib3.PoolManager:
        """Those to this URL. Where nothing was sent for `idle_conn_timeout`, they are new ones."""
        now = time.monotonic()
        if self._settings.idle_conn_timeout and now - self._used > self._settings.idle_conn_timeout:
            self.leave()
        self._used = now
        return self._pools[self._ways[url]]

    def leave(self) -> None:
        """Idle connections are closed; one in use closes after its answer."""
        for pool in self._pools.values():
            pool.clear()

    def _proxy(self, url: str) -> str | None:
        given = self._settings.proxy_url
        return checked(given, "proxy_url") if given else proxy_of(url, os.environ)
