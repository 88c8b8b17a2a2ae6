"""What work is done with: what is there already is spared garbage collection while it goes on, and no longer."""

import gc

import pytest

from fpml.engine import spared


def test_what_was_there_is_spared_while_work_goes_on_and_no_longer() -> None:
    gc.unfreeze()  # another test may have worked here as an executor does, which sets aside for good
    with spared():
        assert gc.get_freeze_count()
        with spared():  # a month within other work lets go of nothing that is not its own
            pass
        assert gc.get_freeze_count()  # how many changes by itself: what nobody refers to is freed even so
    assert not gc.get_freeze_count()
    with pytest.raises(ValueError, match="broken"), spared():
        raise ValueError("broken")
    assert not gc.get_freeze_count()
