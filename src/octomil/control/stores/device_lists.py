"""Devices listed page by page, each order by an index of its own.

A page begins where the one before ended (keyset paging), so that the last page of a million
devices costs what the first one does. Labels and groups are found by `device_tags`, one row for
each that a device has; the device's own row holds them for showing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    Select,
    Table,
    delete,
    exists,
    insert,
    select,
    tuple_,
)

from octomil.control.records import DeviceFilter
from octomil.control.stores.columns import PLAIN_TEXT
from octomil.control.stores.device_table import devices
from octomil.control.stores.schema import metadata

device_tags = Table(
    "device_tags",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("tag", PLAIN_TEXT, primary_key=True),
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Index("ix_device_tags_device_id", "device_id"),
    sqlite_with_rowid=False,
)

_LAST = "\U0010ffff"  # comes after every other character, in both databases' order


def tags_of(labels: Mapping[str, str], groups: Iterable[str]) -> set[str]:
    """Return what labels and groups are found by.

    Example:
        >>> sorted(tags_of({"ward": "icu"}, ["beta"]))
        ['group:beta', 'label:ward=icu']
    """
    of_labels = {f"label:{name}={value}" for name, value in labels.items()}
    return of_labels | {f"group:{name}" for name in groups}


def write_tags(connection: Connection, organisation: str, device_id: str, tags: set[str]) -> None:
    """Make a device be found by these tags and no others."""
    query = select(device_tags.c.tag).where(device_tags.c.device_id == device_id)
    known = set(connection.execute(query).scalars())
    if gone := known - tags:
        of_device = device_tags.c.device_id == device_id
        connection.execute(delete(device_tags).where(of_device, device_tags.c.tag.in_(gone)))
    new = [
        {"organisation": organisation, "tag": tag, "device_id": device_id}
        for tag in sorted(tags - known)
    ]
    if new:
        connection.execute(insert(device_tags), new)


def device_page(
    connection: Connection,
    organisation: str,
    wanted: DeviceFilter,
    after: Sequence[object] | None,
    limit: int,
) -> Sequence[RowMapping]:
    """Return the rows of a page."""
    query = page_query(organisation, wanted, after).limit(limit)
    return connection.execute(query).mappings().all()


def page_query(
    organisation: str, wanted: DeviceFilter, after: Sequence[object] | None
) -> Select[Any]:
    """Return what finds a page's rows; without a limit."""
    conditions: list[ColumnElement[bool]] = [devices.c.deleted_at.is_(None)]
    if wanted.platform is not None:
        conditions.append(devices.c.platform == wanted.platform)
    if wanted.seen_after is not None:
        conditions.append(devices.c.last_seen_at >= wanted.seen_after)
    if wanted.seen_before is not None:
        conditions.append(devices.c.last_seen_at < wanted.seen_before)
    if wanted.text is not None:
        conditions += [
            devices.c.identifier >= wanted.text,
            devices.c.identifier < wanted.text + _LAST,
        ]
    tags = sorted(tags_of(wanted.labels, () if wanted.group is None else (wanted.group,)))
    query = select(devices)
    if tags and wanted.order == "id":
        return _by_tag(query, organisation, tags, conditions, after)
    conditions.append(devices.c.organisation == organisation)
    conditions += [_has_tag(organisation, tag) for tag in tags]
    return _in_order(query.where(*conditions), wanted, after)


def _by_tag(
    query: Select[Any],
    organisation: str,
    tags: Sequence[str],
    conditions: Sequence[ColumnElement[bool]],
    after: Sequence[object] | None,
) -> Select[Any]:
    """Walk along the devices that have the first tag, and keep those that have the others.

    Whose they are is asked of the tags alone: asked of the devices too, SQLite would walk along
    those, all of them.
    """
    walked = device_tags.c
    query = query.join(device_tags, walked.device_id == devices.c.id).where(
        walked.organisation == organisation, walked.tag == tags[0], *conditions
    )
    query = query.where(*(_has_tag(organisation, tag) for tag in tags[1:]))
    if after is not None:
        query = query.where(walked.device_id < after[-1])
    return query.order_by(walked.device_id.desc())


def _has_tag(organisation: str, tag: str) -> ColumnElement[bool]:
    other = device_tags.alias()
    return exists().where(
        other.c.organisation == organisation, other.c.tag == tag, other.c.device_id == devices.c.id
    )


def _in_order(
    query: Select[Any], wanted: DeviceFilter, after: Sequence[object] | None
) -> Select[Any]:
    match wanted.order:
        case "identifier":
            if after is not None:
                query = query.where(devices.c.identifier > after[0])
            return query.order_by(devices.c.identifier)
        case "last_seen":
            place = tuple_(devices.c.last_seen_at, devices.c.id)
            if after is not None:
                query = query.where(place < tuple_(*after))
            return query.order_by(devices.c.last_seen_at.desc(), devices.c.id.desc())
        case "id":
            if after is not None:
                query = query.where(devices.c.id < after[-1])
            return query.order_by(devices.c.id.desc())
