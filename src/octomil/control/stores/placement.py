"""Decisions where models run, counted, and how fast devices are."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    select,
)

from octomil.control.records import DeviceProfile, RouteTally
from octomil.control.stores.columns import PLAIN_TEXT, JsonText, Moment
from octomil.control.stores.schema import insert_or_add, metadata, upsert
from octomil.placement.devices import HardwareKind
from octomil.placement.speeds import ModelSpeed, Samples
from octomil.placement.table import DeviceClass

MAX_COUNTED_MODELS = 10_000
"""Of so many different models an organisation's decisions are counted."""

route_tallies = Table(
    "route_tallies",
    metadata,
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), primary_key=True),
    Column("model_id", PLAIN_TEXT, primary_key=True),
    Column("target", PLAIN_TEXT, primary_key=True),
    Column("reason", PLAIN_TEXT, primary_key=True),
    Column("decisions", BigInteger, nullable=False),
    Column("latency_us", BigInteger, nullable=False),
)

_KIND = ("organisation", "platform", "device_class", "accelerator")

device_profiles = Table(
    "device_profiles",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("platform", PLAIN_TEXT, nullable=False),
    Column("device_class", PLAIN_TEXT, nullable=False),
    Column("accelerator", PLAIN_TEXT, nullable=False),
    Column("ms_per_mb", Float),
    Column("content", JsonText, nullable=False),
    Column("measured_at", Moment, nullable=False),
    Index("ix_device_profiles_kind_measured_at", *_KIND, "measured_at"),
)

device_speeds = Table(
    "device_speeds",
    metadata,
    Column("device_id", PLAIN_TEXT, ForeignKey("devices.id"), primary_key=True),
    Column("model_id", PLAIN_TEXT, primary_key=True),
    Column("organisation", PLAIN_TEXT, ForeignKey("organisations.id"), nullable=False),
    Column("platform", PLAIN_TEXT, nullable=False),
    Column("device_class", PLAIN_TEXT, nullable=False),
    Column("accelerator", PLAIN_TEXT, nullable=False),
    Column("size_mb", Float, nullable=False),
    Column("tokens_per_s", Float, nullable=False),
    Column("measured_at", Moment, nullable=False),
    Index("ix_device_speeds_kind_model_id_measured_at", *_KIND, "model_id", "measured_at"),
)

_FIELDS = tuple(RouteTally.__dataclass_fields__)


class RouteTallyRows:
    """The decisions about an organisation's models."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def of_model(self, model_id: str) -> Sequence[RouteTally]:
        """Return what was decided about a model, the most common first."""
        table = route_tallies.c
        query = select(*(table[name] for name in _FIELDS)).where(
            table.organisation == self._organisation, table.model_id == model_id
        )
        ordered = query.order_by(table.decisions.desc(), table.target, table.reason)
        return [RouteTally(**row) for row in self._connection.execute(ordered).mappings()]


def add_route_tallies(connection: Connection, tallies: Iterable[tuple[str, RouteTally]]) -> None:
    """Add to what was decided before, by organisation; see the port."""
    room = _Room(connection)
    for organisation, tally in tallies:
        if not room.has(organisation, tally.model_id):
            continue
        row = {name: getattr(tally, name) for name in _FIELDS}
        insert_or_add(connection, route_tallies, row | {"organisation": organisation})


class _Room:
    """Tells which models an organisation's decisions may be counted of: the known, and some more.

    A request names its model as it likes, and each name makes rows that stay.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._left: dict[str, int] = {}
        self._known: set[tuple[str, str]] = set()

    def has(self, organisation: str, model_id: str) -> bool:
        """Tell whether there is room for a model; there is from then on."""
        if (organisation, model_id) in self._known:
            return True
        own, table = route_tallies.c.organisation == organisation, route_tallies.c
        known = select(table.model_id).where(own, table.model_id == model_id).limit(1)
        if self._connection.execute(known).first() is None:
            if organisation not in self._left:
                query = select(func.count(table.model_id.distinct())).where(own)
                counted = self._connection.execute(query).scalar_one()
                self._left[organisation] = MAX_COUNTED_MODELS - counted
            if self._left[organisation] <= 0:
                return False
            self._left[organisation] -= 1
        self._known.add((organisation, model_id))
        return True


class DeviceProfileRows:
    """What an organisation's devices measured of themselves."""

    def __init__(self, connection: Connection, organisation: str) -> None:
        self._connection = connection
        self._organisation = organisation

    def put(self, profile: DeviceProfile) -> None:
        """Keep a device's profile, in place of the one before."""
        common = {
            "device_id": profile.device_id,
            "organisation": self._organisation,
            "platform": profile.kind.platform,
            "device_class": profile.kind.device_class,
            "accelerator": profile.kind.accelerator,
            "measured_at": profile.measured_at,
        }
        self._forget_speeds(profile.device_id)
        rest = {"ms_per_mb": profile.ms_per_mb, "content": dict(profile.content)}
        upsert(self._connection, device_profiles, common | rest)
        rows = [
            common
            | {"model_id": each.model, "size_mb": each.size_mb, "tokens_per_s": each.tokens_per_s}
            for each in profile.speeds
        ]
        if rows:
            self._connection.execute(insert(device_speeds), rows)

    def get(self, device_id: str) -> DeviceProfile | None:
        """Return a device's profile."""
        query = select(device_profiles).where(self._of(device_profiles, device_id))
        row = self._connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        mine = select(device_speeds).where(self._of(device_speeds, device_id))
        speeds = self._connection.execute(mine.order_by(device_speeds.c.model_id)).mappings()
        return _profile(row, [_speed(each) for each in speeds])

    def classes_of(self, device_ids: Collection[str]) -> Mapping[str, str]:
        """Return the classes of those devices that have a profile, by their ids."""
        table = device_profiles.c
        query = select(table.device_id, table.device_class).where(
            table.organisation == self._organisation, table.device_id.in_(device_ids)
        )
        return {row.device_id: row.device_class for row in self._connection.execute(query)}

    def delete(self, device_id: str) -> None:
        """Forget a device's profile, if there is one."""
        self._forget_speeds(device_id)
        gone = delete(device_profiles).where(self._of(device_profiles, device_id))
        self._connection.execute(gone)

    def samples(
        self, kind: HardwareKind, model_id: str, device_id: str | None, limit: int
    ) -> Samples:
        """Return what is known of how fast devices run a model."""
        own = None if device_id is None else self.get(device_id)
        if own is not None and own.kind != kind:
            own = None
        speeds = self._last(device_speeds, kind, device_speeds.c.model_id == model_id, limit=limit)
        paces = self._last(
            device_profiles, kind, device_profiles.c.ms_per_mb.is_not(None), limit=limit
        )
        mine = [each for each in own.speeds if each.model == model_id] if own else []
        return Samples(
            own_ms=mine[0].latency_ms if mine else None,
            ms=tuple(_speed(row).latency_ms for row in speeds),
            own_ms_per_mb=own.ms_per_mb if own else None,
            ms_per_mb=tuple(row["ms_per_mb"] for row in paces),
        )

    def _last(
        self, table: Table, kind: HardwareKind, condition: ColumnElement[bool], *, limit: int
    ) -> Sequence[RowMapping]:
        """Return the youngest rows of a kind of device."""
        query = select(table).where(
            table.c.organisation == self._organisation,
            table.c.platform == kind.platform,
            table.c.device_class == kind.device_class,
            table.c.accelerator == kind.accelerator,
            condition,
        )
        last = query.order_by(table.c.measured_at.desc()).limit(limit)
        return self._connection.execute(last).mappings().all()

    def _of(self, table: Table, device_id: str) -> ColumnElement[bool]:
        own: ColumnElement[bool] = table.c.organisation == self._organisation
        return own & (table.c.device_id == device_id)

    def _forget_speeds(self, device_id: str) -> None:
        gone = delete(device_speeds).where(self._of(device_speeds, device_id))
        self._connection.execute(gone)


def _profile(row: RowMapping, speeds: Sequence[ModelSpeed]) -> DeviceProfile:
    kind = HardwareKind(row["platform"], DeviceClass(row["device_class"]), row["accelerator"])
    return DeviceProfile(
        device_id=row["device_id"],
        kind=kind,
        ms_per_mb=row["ms_per_mb"],
        speeds=tuple(speeds),
        content=row["content"],
        measured_at=row["measured_at"],
    )


def _speed(row: RowMapping) -> ModelSpeed:
    return ModelSpeed(
        model=row["model_id"], size_mb=row["size_mb"], tokens_per_s=row["tokens_per_s"]
    )
