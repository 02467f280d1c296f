//! Arrays of a type, from the outside in.

use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::Source;

/// Texts that some type of field takes and another one refuses.
const TEXTS: [&[u8]; 26] = [
    b"{}",
    b"a",
    b"",
    "水車".as_bytes(),
    b"{\"a\": [1, 2.5, null, true]}",
    b"a text of more than twelve bytes",
    b"2024-02-29T23:59:59.999999+05:30",
    b"POINT (30.123 -10)",
    b"null",
    b"[1, {\"b\": \"\\u00e9\"}]",
    b" {\"declared\": 1} ",
    b"{\"$meta\": {}}",
    b"{\"\\u0024meta\": 1}",
    b"{\"f0\": 1, \"f0\": 2}",
    b"{\"a\": NaN}",
    b"{\"a\": 1}}",
    b"{\"a\"",
    b"\"text\"",
    b"-1e400",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    b"\xff",
    b"\xe6\xb0",
    b"{\"\xed\xa0\x80\": 1}",
];

/// Numbers at the edges of types, of varint lengths, of sparse indices and of timestamps in each unit.
const EDGES: [i64; 24] = [
    0,
    1,
    -1,
    127,
    128,
    -128,
    16_383,
    16_384,
    i16::MIN as i64,
    i16::MAX as i64,
    i32::MIN as i64,
    i32::MAX as i64,
    u32::MAX as i64,
    u32::MAX as i64 - 1,
    1 << 49,
    i64::MIN,
    i64::MAX,
    253_402_300_799,
    253_402_300_800_000,
    253_402_300_799_999_999,
    -62_135_596_800,
    -62_135_596_801_000,
    1_700_000_000_123_456_789,
    -1_000,
];

/// Bit patterns of floats of every width, counted from the sign on: zeros, infinities, NaN, the largest, the smallest.
const FLOATS: [u64; 12] = [
    0,
    1 << 63,
    0x3fff << 48,
    u64::MAX,
    0x7fff << 48,
    0x7ff0 << 48,
    0x7f80 << 48,
    0x7c00 << 48,
    0xff80 << 48,
    0x7f7f_ffff << 32,
    0x7bff << 48,
    0x0000_0001_0000_0001,
];

impl Source<'_> {
    /// `rows` rows of `data_type`; `row` is the number of values or bytes that most lists and strings should have.
    pub(super) fn data(&mut self, data_type: &DataType, rows: usize, row: Option<usize>) -> ArrayData {
        let before = if self.one_in(4) { self.up_to(9) } else { 0 };
        let total = before + rows;
        let (mut buffers, mut children) = (Vec::new(), Vec::new());
        match data_type {
            DataType::Null => {}
            DataType::Boolean => buffers.push(self.bits(total)),
            DataType::Int8 => buffers.push(self.numbers(total, |value| value as i8)),
            DataType::UInt8 => buffers.push(self.numbers(total, |value| value as u8)),
            DataType::Int16 => buffers.push(self.numbers(total, |value| value as i16)),
            DataType::Int32 | DataType::Date32 => buffers.push(self.numbers(total, |value| value as i32)),
            DataType::UInt32 => buffers.push(self.numbers(total, |value| value as u32)),
            DataType::Int64 | DataType::Timestamp(..) => buffers.push(self.numbers(total, |value| value)),
            DataType::UInt64 => buffers.push(self.numbers(total, |value| value as u64)),
            DataType::Float16 | DataType::UInt16 => buffers.push(self.floats(total, |bits| (bits >> 48) as u16)),
            DataType::Float32 => buffers.push(self.floats(total, |bits| f32::from_bits((bits >> 32) as u32))),
            DataType::Float64 => buffers.push(self.floats(total, f64::from_bits)),
            DataType::FixedSizeBinary(width) => {
                let bytes = total * usize::try_from(*width).unwrap_or(0);
                let bytes = self.shrunk(bytes);
                buffers.push(self.floats(bytes, |bits| (bits >> 56) as u8));
            }
            DataType::Utf8 | DataType::Binary => buffers.extend(self.texts(total, row, |at| at as i32)),
            DataType::LargeUtf8 | DataType::LargeBinary => buffers.extend(self.texts(total, row, |at| at)),
            DataType::Utf8View | DataType::BinaryView => buffers = self.views(total, row),
            DataType::List(item) | DataType::Map(item, _) => {
                let (offsets, values) = self.offsets(total, row, |at| at as i32);
                buffers.push(offsets);
                children.push(self.data(item.data_type(), values, None));
            }
            DataType::LargeList(item) => {
                let (offsets, values) = self.offsets(total, row, |at| at);
                buffers.push(offsets);
                children.push(self.data(item.data_type(), values, None));
            }
            DataType::ListView(item) => {
                let values = self.windows(total, row, &mut buffers, |at| at as i32);
                children.push(self.data(item.data_type(), values, None));
            }
            DataType::LargeListView(item) => {
                let values = self.windows(total, row, &mut buffers, |at| at);
                children.push(self.data(item.data_type(), values, None));
            }
            DataType::FixedSizeList(item, width) => {
                let values = total * usize::try_from(*width).unwrap_or(0) + self.up_to(2);
                let values = self.shrunk(values);
                children.push(self.data(item.data_type(), values, None));
            }
            DataType::Struct(fields) => {
                for field in fields {
                    let total = self.shrunk(total);
                    children.push(self.data(field.data_type(), total, row));
                }
            }
            DataType::Dictionary(key, value) => {
                let values = self.up_to(9);
                buffers.push(self.keys(key, total, values));
                children.push(self.data(value, values, row));
            }
            DataType::RunEndEncoded(ends, value) => {
                let runs = self.runs(ends.data_type(), total);
                let values = self.shrunk(runs.len());
                children.extend([runs, self.data(value.data_type(), values, row)]);
            }
            other => unreachable!("{other} is made nowhere"),
        }
        let mask = match data_type {
            DataType::Null | DataType::RunEndEncoded(..) => None,
            _ => (!self.one_in(3)).then(|| self.mask(total)),
        };
        let null_count = self.one_in(16).then(|| self.up_to(rows));
        // SAFETY: none of arrow-rs's promises hold, which is what the core has to cope with; of its methods the core and
        // these tests call only such as check bounds themselves.
        unsafe { ArrayData::new_unchecked(data_type.clone(), rows, null_count, mask, before, buffers, children) }
    }

    /// `len`, or less where the source lies.
    fn shrunk(&mut self, len: usize) -> usize {
        if self.lie() { self.up_to(len) } else { len }
    }

    /// A number that no offset, key or length should be.
    fn wild(&mut self) -> i64 {
        if self.one_in(2) { self.pick(&EDGES) } else { i64::from(self.draw::<i8>()) }
    }

    fn spoil<T: Copy>(&mut self, values: &mut [T], cast: impl Fn(i64) -> T) {
        if self.lie() && !values.is_empty() {
            let at = self.up_to(values.len() - 1);
            values[at] = cast(self.wild());
        }
    }

    fn bits(&mut self, count: usize) -> Buffer {
        let bytes = self.shrunk(count.div_ceil(8));
        self.numbers(bytes, |value| value as u8)
    }

    /// Bits that are mostly set.
    fn mask(&mut self, count: usize) -> Buffer {
        let bytes = self.shrunk(count.div_ceil(8));
        let all = self.one_in(2);
        exact((0..bytes).map(|_| if all { 0xff } else { !self.byte() }))
    }

    pub(super) fn numbers<T: ArrowNativeType>(&mut self, count: usize, cast: impl Fn(i64) -> T) -> Buffer {
        let count = self.shrunk(count);
        let (mode, seed) = (self.byte() % 4, self.draw::<u16>());
        let mut last = -1;
        exact((0..count).map(|at| {
            cast(match mode {
                0 => {
                    last += 1 + i64::from(self.one_in(16));
                    last
                }
                1 => i64::from(self.draw::<i8>()),
                2 => self.pick(&EDGES),
                _ => scrambled(seed, at).cast_signed() >> (at % 64),
            })
        }))
    }

    /// Floats by their bits from the sign on, mostly finite and not negative.
    fn floats<T: ArrowNativeType>(&mut self, count: usize, cast: impl Fn(u64) -> T) -> Buffer {
        let count = self.shrunk(count);
        let (mode, seed) = (self.byte() % 8, self.draw::<u16>());
        exact((0..count).map(|at| {
            cast(match mode {
                0 => self.pick(&FLOATS),
                1 => scrambled(seed, at),
                _ => scrambled(seed, at) & (u64::MAX >> 2),
            })
        }))
    }

    fn text(&mut self, row: Option<usize>) -> Vec<u8> {
        match row {
            Some(len) => {
                let len = if self.one_in(32) { len + 1 } else { len };
                let seed = self.draw();
                (0..len).map(|at| scrambled(seed, at) as u8 & 0x3f).collect()
            }
            None if self.one_in(64) => [TEXTS[0], &vec![b' '; 65_535]].concat(),
            None if self.one_in(8) => [self.pick(&TEXTS), self.pick(&TEXTS)].concat(),
            None => self.pick(&TEXTS).to_vec(),
        }
    }

    /// Offsets and bytes of a string column.
    fn texts<T: ArrowNativeType>(
        &mut self,
        count: usize,
        row: Option<usize>,
        cast: impl Fn(i64) -> T + Copy,
    ) -> [Buffer; 2] {
        let mut bytes = vec![b'?'; self.up_to(2)];
        let mut offsets = vec![cast(bytes.len() as i64)];
        for _ in 0..count {
            bytes.extend(self.text(row));
            offsets.push(cast(bytes.len() as i64));
        }
        self.spoil(&mut offsets, cast);
        bytes.truncate(self.shrunk(bytes.len()));
        [exact(offsets), exact(bytes)]
    }

    /// Views of texts, and the buffers that hold the long ones.
    fn views(&mut self, count: usize, row: Option<usize>) -> Vec<Buffer> {
        let mut long: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
        let mut views = Vec::with_capacity(count);
        for _ in 0..count {
            let text = self.text(row);
            let mut head = [0; 12];
            let len = text.len().min(12);
            head[..len].copy_from_slice(&text[..len]);
            if text.len() > 12 {
                let buffer = self.up_to(1);
                head[4..8].copy_from_slice(&(buffer as u32).to_le_bytes());
                head[8..].copy_from_slice(&(long[buffer].len() as u32).to_le_bytes());
                long[buffer].extend(text.iter());
            }
            let mut parts = [text.len() as u32; 4];
            for (part, bytes) in parts[1..].iter_mut().zip(head.chunks_exact(4)) {
                *part = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            self.spoil(&mut parts, |value| value as u32);
            views.push(parts.iter().rev().fold(0_u128, |view, part| view << 32 | u128::from(*part)));
        }
        let mut buffers = vec![exact(views)];
        for bytes in &mut long {
            bytes.truncate(self.shrunk(bytes.len()));
        }
        buffers.extend(long.into_iter().filter(|bytes| !bytes.is_empty()).map(exact));
        buffers
    }

    fn row_len(&mut self, row: Option<usize>) -> usize {
        match row {
            Some(len) if !self.one_in(32) => len,
            _ => self.up_to(5),
        }
    }

    /// Offsets of `count` lists, and how many values the child has.
    fn offsets<T: ArrowNativeType>(
        &mut self,
        count: usize,
        row: Option<usize>,
        cast: impl Fn(i64) -> T + Copy,
    ) -> (Buffer, usize) {
        let mut end = self.up_to(2);
        let mut offsets = vec![cast(end as i64)];
        for _ in 0..count {
            end += self.row_len(row);
            offsets.push(cast(end as i64));
        }
        self.spoil(&mut offsets, cast);
        let values = end + self.up_to(2);
        (exact(offsets), self.shrunk(values))
    }

    /// Offsets and sizes of `count` lists that may overlap, into `buffers`; gives the number of values in the child.
    fn windows<T: ArrowNativeType>(
        &mut self,
        count: usize,
        row: Option<usize>,
        buffers: &mut Vec<Buffer>,
        cast: impl Fn(i64) -> T + Copy,
    ) -> usize {
        let sizes: Vec<usize> = (0..count).map(|_| self.row_len(row)).collect();
        let values = sizes.iter().max().map_or(0, |most| most + self.up_to(20));
        let mut offsets: Vec<T> = sizes.iter().map(|size| cast(self.up_to(values - size) as i64)).collect();
        let mut sizes: Vec<T> = sizes.into_iter().map(|size| cast(size as i64)).collect();
        self.spoil(&mut offsets, cast);
        self.spoil(&mut sizes, cast);
        buffers.extend([exact(offsets), exact(sizes)]);
        self.shrunk(values)
    }

    fn keys(&mut self, key: &DataType, count: usize, values: usize) -> Buffer {
        let mut keys: Vec<i64> = (0..count).map(|_| self.up_to(values.saturating_sub(1)) as i64).collect();
        self.spoil(&mut keys, |value| value);
        integers(key, keys)
    }

    /// The child with the ends of runs that together are `total` rows or a few more.
    fn runs(&mut self, ends: &DataType, total: usize) -> ArrayData {
        let (mut run_ends, mut end) = (Vec::new(), 0);
        while end < total as i64 {
            end += 1 + self.up_to(if total > 100 { 100 } else { 4 }) as i64;
            run_ends.push(end);
        }
        self.spoil(&mut run_ends, |value| value);
        run_ends.truncate(self.shrunk(run_ends.len()));
        let (rows, before) = (run_ends.len(), usize::from(self.one_in(8)));
        run_ends.splice(0..0, vec![7; before]);
        let buffers = vec![integers(ends, run_ends)];
        // SAFETY: as in `data`.
        unsafe { ArrayData::new_unchecked(ends.clone(), rows, None, None, before, buffers, Vec::new()) }
    }
}

fn integers(data_type: &DataType, values: Vec<i64>) -> Buffer {
    let values = values.into_iter();
    match data_type {
        DataType::Int8 => exact(values.map(|value| value as i8)),
        DataType::UInt8 => exact(values.map(|value| value as u8)),
        DataType::Int16 => exact(values.map(|value| value as i16)),
        DataType::UInt16 => exact(values.map(|value| value as u16)),
        DataType::Int32 => exact(values.map(|value| value as i32)),
        DataType::UInt32 => exact(values.map(|value| value as u32)),
        DataType::UInt64 => exact(values.map(|value| value as u64)),
        _ => exact(values),
    }
}

/// A buffer of no more memory than its values take.
fn exact<T: ArrowNativeType>(values: impl IntoIterator<Item = T>) -> Buffer {
    let mut values: Vec<T> = values.into_iter().collect();
    values.shrink_to_fit();
    Buffer::from_vec(values)
}

/// Numbers that look random, the same for the same place.
fn scrambled(seed: u16, at: usize) -> u64 {
    let mixed = (u64::from(seed) << 32 | at as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 27
}
