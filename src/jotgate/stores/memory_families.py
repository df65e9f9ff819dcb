"""Refresh-token families and marks as plain dictionaries: the reference that says what the databases must do."""

from collections.abc import Sequence

from msgspec.structs import replace

from jotgate.core.durable import Mark, Revocation
from jotgate.core.families import LATER_MAX, Family, FoundFamily, RefreshRecord
from jotgate.stores.memory_rows import MemoryRows


class MemoryFamilies(MemoryRows):
    """Keeps families and marks in this process (store_ports.FamilyRecords, store_ports.Marks)."""

    def add_family(self, family: Family, first: RefreshRecord) -> None:
        """Keep a new family."""
        with self._lock:
            self._rows.families.setdefault(family.family_id, family)
            if first.digest not in self._rows.refresh_tokens:
                self._place(first)

    def family(self, family_id: str) -> Family | None:
        """The one with this identifier."""
        with self._lock:
            return self._rows.families.get(family_id)

    def find_family(self, digest: bytes) -> FoundFamily | None:
        """The family of a token."""
        with self._lock:
            token = self._rows.refresh_tokens.get(digest)
            if token is None:
                return None
            family = self._rows.families[token.family_id]
            if token.successor is None:
                return FoundFamily(family, token)
            begin = token.generation + 1
            digests = self._rows.lineages[token.family_id][begin : begin + LATER_MAX]
            return FoundFamily(family, token, tuple(self._rows.refresh_tokens[one] for one in digests))

    def rotate_family(self, family: Family, used: RefreshRecord, successor: RefreshRecord) -> bool:
        """Keep a rotation if the family's version still stands."""
        with self._lock:
            found = self._rows.families.get(family.family_id)
            if found is None or found.version != family.version or found.ended_at_s is not None:
                return False
            self._rows.families[family.family_id] = replace(found, version=found.version + 1)
            self._rows.refresh_tokens[used.digest] = used
            self._place(successor)
            return True

    def end_family(self, family_id: str, ended_at_s: int, revocation: Revocation) -> bool:
        """End a family, and keep that it was revoked."""
        with self._lock:
            found = self._rows.families.get(family_id)
            if found is None or found.ended_at_s is not None:
                return False
            self._rows.families[family_id] = replace(found, ended_at_s=ended_at_s, version=found.version + 1)
            for token in self._of(family_id):
                self._rows.refresh_tokens[token.digest] = replace(token, successor=None)
            self._keep_revoked(revocation)
            return True

    def families(self, client_id: str, subject: str, after: str, limit: int) -> Sequence[Family]:
        """Living families, by identifier."""
        with self._lock:
            held = sorted(self._rows.families.values(), key=lambda one: one.family_id)
        return tuple(
            one
            for one in held
            if one.family_id > after
            and one.ended_at_s is None
            and client_id in {"", one.client_id}
            and subject in {"", one.subject}
        )[:limit]

    def erase_successors(self, used_before_s: int, limit: int) -> int:
        """Erase what nobody may be given any more, of those first that were used first."""
        with self._lock:
            held = [one for one in self._rows.refresh_tokens.values() if one.successor is not None]
            over = [one for one in held if one.used_at_s is not None and one.used_at_s < used_before_s]
            chosen = sorted(over, key=lambda one: (one.used_at_s or 0, one.digest))[:limit]
            for one in chosen:
                self._rows.refresh_tokens[one.digest] = replace(one, successor=None)
            return len(chosen)

    def last_family_end(self) -> int | None:
        """When the last refresh token ends."""
        with self._lock:
            return max((one.expires_at_s for one in self._rows.refresh_tokens.values()), default=None)

    def drop_families(self, ended_at_s: int, limit: int) -> int:
        """Forget families whose last token has ended, with all their tokens."""
        with self._lock:
            last = {one.family_id: max(token.expires_at_s for token in self._of(one.family_id)) for one in self._all()}
            ended = sorted((end_s, family_id) for family_id, end_s in last.items() if end_s <= ended_at_s)[:limit]
            for _, family_id in ended:
                for digest in self._rows.lineages.pop(family_id):
                    del self._rows.refresh_tokens[digest]
                del self._rows.families[family_id]
            return len(ended)

    def mark(self, mark: Mark, now_s: int) -> Mark | None:
        """Keep a mark unless one stands."""
        with self._lock:
            found = self._rows.marks.get((mark.kind, mark.handle))
            if found is not None and found.expires_at_s > now_s:
                return found
            self._rows.marks[mark.kind, mark.handle] = mark
            return None

    def marks_of(self, kind: str, after: str, limit: int) -> Sequence[Mark]:
        """Those of a kind, by handle."""
        with self._lock:
            found = [one for one in self._rows.marks.values() if one.kind == kind and one.handle > after]
        return tuple(sorted(found, key=lambda one: one.handle))[:limit]

    def fill_mark(self, kind: str, handle: str, content: bytes) -> None:
        """Put a content to a mark."""
        with self._lock:
            found = self._rows.marks.get((kind, handle))
            if found is not None:
                self._rows.marks[kind, handle] = replace(found, content=content)

    def drop_mark(self, kind: str, handle: str) -> None:
        """Forget a mark."""
        with self._lock:
            self._rows.marks.pop((kind, handle), None)

    def drop_marks(self, ended_at_s: int, limit: int) -> int:
        """Forget marks that have ended, those first that ended first."""
        with self._lock:
            held = self._rows.marks.values()
            ended = sorted((one.expires_at_s, one.kind, one.handle) for one in held if one.expires_at_s <= ended_at_s)
            for _, kind, handle in ended[:limit]:
                del self._rows.marks[kind, handle]
            return len(ended[:limit])

    def _all(self) -> list[Family]:
        return list(self._rows.families.values())

    def _place(self, token: RefreshRecord) -> None:
        """Keep the newest token of a family."""
        self._rows.refresh_tokens[token.digest] = token
        self._rows.lineages.setdefault(token.family_id, []).append(token.digest)

    def _of(self, family_id: str) -> list[RefreshRecord]:
        """The tokens of a family, in order."""
        return [self._rows.refresh_tokens[one] for one in self._rows.lineages[family_id]]
