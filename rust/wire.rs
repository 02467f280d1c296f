//! Protobuf's wire format: varints, lengths and where the bytes go. Nothing in here knows Milvus.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

mod frame;
mod read;
mod sink;
mod varint;

pub use frame::{Frame, bytes_field, encode_head, nested_len, put_head, varint_field};
pub use read::{Content, NoMessage, Part, Parts, take_varint};
pub use sink::{Sink, SizeMismatch, fill_vec};
pub use varint::{MAX_VARINT_LEN, Varint, encode_varint, put_varint, put_varints, varint_len, varints_len};

/// The largest message that protobuf runtimes take, in bytes (2 GiB - 1).
pub const MAX_MESSAGE_LEN: usize = 0x7fff_ffff;
