"""English words that say nothing about what is asked."""

from __future__ import annotations

_WORDS = """
a about above after again against all also am an and any are aren as at be because been before being below
between both but by can cannot could couldn did didn do does doesn doing don down during each either else
ever every few for from further give given had hadn has hasn have haven having he her here hers herself him
himself his how however i if in into is isn it its itself just know let list ll many may me might more most
much must my myself neither no nor not now of off on once one only or other our ours ourselves out over own
per please re same say says shall shan she should shouldn show so some such tell than that the their theirs
them themselves then there these they this those through to too under until up upon us use used using ve
very via was wasn we were weren what when where whether which while who whom whose why will with within
without won would wouldn you your yours yourself yourselves
"""

STOP_WORDS = frozenset(_WORDS.split())
