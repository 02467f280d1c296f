//! Arrays over memory that somebody else may write to, as those of numpy and pyarrow are.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;

/// Memory with a writer besides the arrays that read it.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: nothing in it belongs to a thread. That threads read what others write is what it is for: no test relies on
// the values that are read then.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn of(bytes: &[u8]) -> Arc<Self> {
        let layout = Layout::from_size_align(bytes.len().max(1), 64).unwrap();
        // SAFETY: the layout has a size.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        let memory = Arc::new(Self { start, layout });
        memory.write(0, bytes);
        memory
    }

    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Puts `bytes` at `offset`, as far as they are inside.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..self.len()).zip(bytes) {
            // SAFETY: `at` is inside the allocation. Volatile, so that the compiler keeps every write.
            unsafe { self.start.as_ptr().add(at).write_volatile(*byte) };
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `of` with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// A part of an array that can be changed: the memory and what was in it.
#[derive(Debug)]
pub struct Part {
    pub memory: Arc<Memory>,
    pub before: Vec<u8>,
}

impl Part {
    pub fn restore(&self) {
        self.memory.write(0, &self.before);
    }
}

/// `array` with each of its buffers in memory of its own.
pub fn rehome(array: &dyn Array) -> (ArrayRef, Vec<Part>) {
    let mut parts = Vec::new();
    let data = moved(&array.to_data(), &mut parts);
    (make_array(data), parts)
}

fn moved(data: &ArrayData, parts: &mut Vec<Part>) -> ArrayData {
    let nulls = data.nulls().map(|nulls| {
        let bits = BooleanBuffer::new(rehomed(nulls.buffer(), parts), nulls.offset(), nulls.len());
        NullBuffer::new(bits)
    });
    let buffers = data.buffers().iter().map(|buffer| rehomed(buffer, parts)).collect();
    let children = data.child_data().iter().map(|child| moved(child, parts)).collect();
    let builder = data.clone().into_builder().nulls(nulls).buffers(buffers).child_data(children);
    // SAFETY: as valid as `data`, whose contents these are.
    unsafe { builder.build_unchecked() }
}

fn rehomed(buffer: &Buffer, parts: &mut Vec<Part>) -> Buffer {
    let memory = Memory::of(buffer);
    parts.push(Part { memory: memory.clone(), before: buffer.to_vec() });
    // SAFETY: `memory` is at least as long, and lives as long as the buffer, which owns a share of it.
    unsafe { Buffer::from_custom_allocation(memory.start, buffer.len(), memory) }
}
