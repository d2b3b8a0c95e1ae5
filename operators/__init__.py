"""Flink adapters: they decode, batch, hand over and emit. No statistics and no thresholds live here.

The operators of a TaskManager are threads of one interpreter. The first one imports this package, and while the others
wait for it, everything is imported whose types they will decode, and prepared.
"""

import udfs.correlation.provider
import udfs.correlation.tenant
import udfs.detection
import udfs.spanning  # noqa: F401 - for the types within, as the three above
from schemas.prepared import prepare_types

prepare_types()
