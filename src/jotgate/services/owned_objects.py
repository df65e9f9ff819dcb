"""Carries out orders about owned objects: in control, by its clock."""

from jotgate.core.owned_objects import (
    LIFE_MAX_S,
    OWNED_MAX,
    DropObject,
    FindObject,
    ListObjects,
    ObjectAnswer,
    ObjectOrder,
    OwnedObject,
    PutObject,
)
from jotgate.store_ports import OwnedObjects


def carry_out(store: OwnedObjects, order: ObjectOrder, now_s: float) -> ObjectAnswer:
    """Do what is ordered. Raises StoreUnavailable."""
    now = int(now_s)
    match order:
        case FindObject(key) | DropObject(key) if not key.is_storable:
            return ObjectAnswer(False)
        case FindObject(key, keep_s):
            found = store.use_owned_object(key, now, _life(keep_s)) if keep_s else store.owned_object(key, now)
            return ObjectAnswer(found is not None, () if found is None else (found,))
        case PutObject():
            return _put(store, order, now)
        case ListObjects(kind, place, owner, limit):
            return ObjectAnswer(True, tuple(store.owned_objects(kind, place, owner, now, min(limit, OWNED_MAX))))
        case DropObject(key, version):
            return ObjectAnswer(store.drop_owned_object(key, version))


def _put(store: OwnedObjects, order: PutObject, now: int) -> ObjectAnswer:
    key = order.key
    record = OwnedObject(
        kind=key.kind,
        place=key.place,
        owner=key.owner,
        name=key.name,
        data=order.data,
        version=order.version,
        created_s=now,
        used_s=now,
        expires_s=now + _life(order.keep_s),
    )
    kept = store.put_owned_object(record, OWNED_MAX)
    stands = kept or store.owned_object(key, now)
    return ObjectAnswer(kept is not None, () if stands is None else (stands,))


def _life(keep_s: int) -> int:
    return min(max(keep_s, 1), LIFE_MAX_S)
