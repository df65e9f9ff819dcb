"""Refresh tokens of upstreams in the memory store."""

from collections.abc import Sequence

from msgspec.structs import replace

from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.stores.memory_rows import MemoryRows


class MemoryUpstreamLogins(MemoryRows):
    """Keeps them in a dictionary (outward_store_ports.UpstreamLogins)."""

    def upstream_login(self, upstream: str, holder: str = "") -> UpstreamLogin | None:
        """The one of this upstream and holder."""
        with self._lock:
            return self._rows.upstream_logins.get((upstream, holder))

    def upstream_logins(self) -> Sequence[UpstreamLogin]:
        """All of them, by name."""
        with self._lock:
            return tuple(self._rows.upstream_logins[name] for name in sorted(self._rows.upstream_logins))

    def put_upstream_login(self, record: UpstreamLogin) -> int | None:
        """Keep one if its version still stands."""
        with self._lock:
            key = (record.upstream, record.holder)
            found = self._rows.upstream_logins.get(key)
            if (found.version if found else 0) != record.version:
                return None
            self._rows.upstream_logins_version += 1
            version = self._rows.upstream_logins_version
            self._rows.upstream_logins[key] = replace(record, version=version)
            return version

    def drop_upstream_login(self, upstream: str, holder: str = "") -> bool:
        """Forget the one of this upstream and holder."""
        with self._lock:
            return self._rows.upstream_logins.pop((upstream, holder), None) is not None
