"""What a load asks of the C library's allocator."""

from __future__ import annotations

import functools

__all__ = ["keep_freed_memory"]

#: The largest block by which glibc learns (``DEFAULT_MMAP_THRESHOLD_MAX`` of its malloc, 32 MiB where a pointer has 64
#: bits), less its own head and what rounding to pages adds.
LARGEST_BLOCK = (32 << 20) - (64 << 10)


@functools.cache
def keep_freed_memory() -> None:
    """Have freed memory of up to 64 MiB kept for the next request, instead of being given back to the kernel.

    glibc gives the end of its heap back when more of it is free than twice the largest block that was mapped for itself
    and freed (``M_TRIM_THRESHOLD`` in mallopt(3)). Packed requests are allocated and freed all along, so that without
    this the kernel takes their pages, and clears them again for the next ones: a fifth of a load's CPU. Freeing one
    large block, which is never touched, is all it takes, once in a process; to another allocator it says nothing.
    """
    bytes(LARGEST_BLOCK)
