"""Shares of the devices, as people write them: `10%` or `10`."""

from typing import Any

import click


class Share(click.ParamType[float]):
    """A percentage from 0 to 100."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.

        Raises:
            click.BadParameter: it is none, or out of range.
        """
        try:
            number = float(str(value).removesuffix("%"))
        except ValueError:
            number = -1.0
        if not 0 <= number <= 100:
            self.fail(f"{value!r} is no share of the devices; write 10%", param, ctx)
        return number


SHARE = Share()


def shown(percentage: float) -> str:
    """Return a percentage as it is shown: `12.5 %`.

    >>> shown(10.0), shown(12.5)
    ('10 %', '12.5 %')
    """
    return f"{percentage:g} %"
