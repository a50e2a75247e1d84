import pytest

from octomil.engines.cores import Cores, look_at_cores
from octomil.engines.pool import thread_shares


def test_this_machine_has_cores():
    cores = look_at_cores()

    assert 1 <= cores.granted <= cores.usable <= cores.logical


@pytest.mark.parametrize(
    ("cores", "granted"),
    [
        (Cores(logical=8, physical=4, usable=8), 8),
        (Cores(logical=64, physical=32, usable=64, quota=1.5), 1),
        (Cores(logical=64, physical=32, usable=64, quota=0.5), 1),
        (Cores(logical=8, physical=None, usable=2, quota=4.0), 2),
    ],
)
def test_threads_beyond_the_grant_are_not_counted(cores, granted):
    assert cores.granted == granted


def test_local_models_share_the_cores_unless_told():
    assert thread_shares(2, 8, None) == 4
    assert thread_shares(3, 2, None) == 1
    assert thread_shares(0, 2, None) == 2
    assert thread_shares(2, 8, 6) == 6
