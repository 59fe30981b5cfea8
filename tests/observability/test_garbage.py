"""Garbage collection in a long-lived process."""

import gc

from observability.garbage import spare_what_is_loaded


def test_loaded_objects_are_left_out_of_collections() -> None:
    spare_what_is_loaded()
    try:
        assert gc.get_freeze_count() > len(gc.get_objects())
    finally:
        gc.unfreeze()
