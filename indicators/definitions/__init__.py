"""The definitions: `definitions/<category>/<topic>.py`. Importing this fills the catalogue.

Every module below is imported, so a new file needs no entry anywhere.
"""

import importlib
import pkgutil

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)
