"""Imports a module of the program when a command needs it."""

import gc
from importlib import import_module
from types import ModuleType


def import_now(name: str) -> ModuleType:
    """Imports a module without garbage collection.

    The objects of a module live as long as the process. Not collecting during the import saves a sixth of the start
    time of a bridge.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        return import_module(name)
    finally:
        if enabled:
            gc.enable()
