//! The values of a column while they are gathered.

use super::{Kind, Memory, int32, le_bytes};
use crate::wire::{NoMessage, take_varint};

/// What a varint becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// A byte, 0 or 1.
    Bool,
    Int32,
    Int64,
}

/// Values while they are gathered.
pub(super) enum Items {
    Integers { bytes: Vec<u8>, width: Width },
    Fixed { memory: Memory, width: usize },
    Texts { offsets: Vec<i32>, bytes: Vec<u8>, utf8: bool },
    Sparse { offsets: Vec<i32>, indices: Vec<u8>, values: Vec<u8> },
}

impl Items {
    /// Where values of this kind go, or None for those that are no column of their own.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Integers(width) => Self::Integers { bytes: Vec::new(), width },
            Kind::Fixed(width) => Self::Fixed { memory: Memory::Shared(0..0), width },
            Kind::Texts => Self::Texts { offsets: vec![0], bytes: Vec::new(), utf8: true },
            Kind::Documents => Self::Texts { offsets: vec![0], bytes: Vec::new(), utf8: false },
            Kind::Sparse => Self::Sparse { offsets: vec![0], indices: Vec::new(), values: Vec::new() },
            Kind::Arrays | Kind::Bytes => return None,
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integers { bytes, width } => bytes.len() / width.bytes(),
            Self::Fixed { memory: Memory::Shared(range), width } => range.len() / width,
            Self::Fixed { memory: Memory::Owned(bytes), width } => bytes.len() / width,
            Self::Texts { offsets, .. } | Self::Sparse { offsets, .. } => offsets.len() - 1,
        }
    }

    pub(super) fn into_buffers(self) -> Vec<Memory> {
        match self {
            Self::Integers { bytes, .. } => vec![Memory::Owned(bytes)],
            Self::Fixed { memory, .. } => vec![memory],
            Self::Texts { offsets, bytes, .. } => vec![Memory::Owned(le_bytes(&offsets)), Memory::Owned(bytes)],
            Self::Sparse { offsets, indices, values } => {
                vec![Memory::Owned(le_bytes(&offsets)), Memory::Owned(indices), Memory::Owned(values)]
            }
        }
    }
}

impl Width {
    const fn bytes(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    pub(super) fn read(self, packed: &[u8], bytes: &mut Vec<u8>) -> Result<(), NoMessage> {
        match self {
            Self::Bool => each(packed, |value| bytes.push(u8::from(value != 0))),
            Self::Int32 => each(packed, |value| bytes.extend_from_slice(&int32(value).to_le_bytes())),
            Self::Int64 => each(packed, |value| bytes.extend_from_slice(&value.to_le_bytes())),
        }
    }
}

#[inline]
fn each(mut packed: &[u8], mut take: impl FnMut(u64)) -> Result<(), NoMessage> {
    while !packed.is_empty() {
        take(take_varint(&mut packed)?);
    }
    Ok(())
}
