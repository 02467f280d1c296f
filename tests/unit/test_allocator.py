"""What the kernel is asked for while requests come and go."""

from __future__ import annotations

import subprocess
import sys

#: Requests that are allocated, filled and freed together, over and over; what is printed is the pages that were cleared
#: for it.
PROGRAM = """
import resource
from headrace.allocator import keep_freed_memory

{first}
def turn():
    requests = [bytearray(b"x") * (4 << 20) for _ in range(3)]

turn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    turn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def cleared_pages(first):
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM.format(first=first)], text=True))


def test_the_memory_of_freed_requests_is_used_again():
    assert cleared_pages("keep_freed_memory()") < 0.1 * cleared_pages("")
