"""The page. Holds no training, file or thread logic: everything is asked of the Studio."""

import os

# Read by these libraries when they are imported, so they are set before anything below is.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # a local demo calls nobody
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "100000")  # its bookkeeping costs 10 ms an event
os.environ.setdefault("MPLBACKEND", "Agg")
