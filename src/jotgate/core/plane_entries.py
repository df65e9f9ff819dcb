"""`[planes]` as values: the configurations that were printed for proxies, and are looked at by `jotgate doctor`."""

from typing import Annotated

from msgspec import Meta, Struct


class PlanesEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`[planes]`: files that `jotgate plane` printed, by their paths, which begin at the configuration's directory."""

    files: Annotated[
        tuple[str, ...],
        Meta(description='a list of files in quotes, such as ["/etc/nginx/conf.d/jotgate.conf"]', max_length=256),
    ] = ()
