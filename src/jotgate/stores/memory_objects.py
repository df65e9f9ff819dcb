"""Owned objects in the memory store."""

from collections.abc import Sequence

from msgspec.structs import replace

from jotgate.core.owned_objects import ObjectKey, OwnedObject
from jotgate.stores.memory_rows import MemoryRows


class MemoryObjects(MemoryRows):
    """Keeps them in a dictionary (store_ports.OwnedObjects)."""

    def owned_object(self, key: ObjectKey, now_s: int) -> OwnedObject | None:
        """The one of this name."""
        with self._lock:
            return self._living(key, now_s)

    def use_owned_object(self, key: ObjectKey, now_s: int, keep_s: int) -> OwnedObject | None:
        """The same, used now."""
        with self._lock:
            found = self._living(key, now_s)
            if found is None:
                return None
            ends_s = max(found.expires_s, now_s + keep_s)
            used = replace(found, used_s=max(found.used_s, now_s), expires_s=ends_s)
            self._rows.objects[key] = used
            return used

    def owned_objects(self, kind: str, place: str, owner: str, now_s: int, limit: int) -> Sequence[OwnedObject]:
        """The newest of an owner."""
        with self._lock:
            held = [one for one in self._held(kind, place, owner) if one.expires_s > now_s]
        return tuple(sorted(held, key=lambda one: (-one.created_s, one.name))[:limit])

    def put_owned_object(self, record: OwnedObject, most: int) -> OwnedObject | None:
        """Keep one if its version still stands."""
        with self._lock:
            found = self._living(record.key, record.used_s)
            version = 0 if found is None else found.version
            if version != record.version:
                return None
            created_s = record.created_s if found is None else found.created_s
            kept = replace(record, version=version + 1, created_s=created_s)
            self._rows.objects[record.key] = kept
            others = [one for one in self._held(record.kind, record.place, record.owner) if one.name != record.name]
            others.sort(key=lambda one: (one.used_s, one.name), reverse=True)
            for one in others[max(most - 1, 0) :]:
                del self._rows.objects[one.key]
            return kept

    def drop_owned_object(self, key: ObjectKey, version: int) -> bool:
        """Forget one."""
        with self._lock:
            found = self._rows.objects.get(key)
            if found is None or version not in {0, found.version}:
                return False
            del self._rows.objects[key]
            return True

    def drop_owned_objects(self, ended_at_s: int, limit: int) -> int:
        """Forget those that have expired."""
        with self._lock:
            gone = [key for key, one in self._rows.objects.items() if one.expires_s <= ended_at_s][:limit]
            for key in gone:
                del self._rows.objects[key]
            return len(gone)

    def _living(self, key: ObjectKey, now_s: int) -> OwnedObject | None:
        found = self._rows.objects.get(key)
        return found if found is not None and found.expires_s > now_s else None

    def _held(self, kind: str, place: str, owner: str) -> list[OwnedObject]:
        sought = (kind, place, owner)
        return [one for key, one in self._rows.objects.items() if (key.kind, key.place, key.owner) == sought]
