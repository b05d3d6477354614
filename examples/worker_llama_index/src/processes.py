"""What LlamaIndex wants to import for work in processes, which a Worker has not."""

import sys
from types import ModuleType

if sys.platform == "emscripten":
    sys.modules.setdefault("_multiprocessing", ModuleType("_multiprocessing"))
