//! Why `Sink::put_each` writes blocks of 64 values at four places: ways to copy 8 MB of float32 and to find NaN and infinity
//! in it.
//!
//! `cargo bench --bench streams` prints the table and keeps it in `benches/results/streams.md`. The ways take turns, each on
//! the next of eight sources, so that none is in a cache and all meet the same machine.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;
use std::{fs, io};

/// A float32 as bytes.
type Value = [u8; 4];

const VALUES: usize = 2_000_000;
const SOURCES: usize = 8;
const TURNS: usize = 160;
/// Values of one region of four streams: 512 KB.
const REGION: usize = 128 * 1024;

fn carry(value: Value) -> u32 {
    (u32::from_le_bytes(value) & 0x7f80_0000) + 0x0080_0000
}

fn finite(carries: u32) -> bool {
    carries & 0x8000_0000 == 0
}

fn copy(from: &[Value], to: &mut [Value]) -> bool {
    to.copy_from_slice(from);
    true
}

fn check_then_copy<const BLOCK: usize>(from: &[Value], to: &mut [Value]) -> bool {
    let check = |values: &[Value]| values.iter().fold(0, |carries, value| carries | carry(*value));
    from.chunks(BLOCK).zip(to.chunks_mut(BLOCK)).all(|(from, to)| finite(check(from)) && copy(from, to))
}

fn one_place(from: &[Value], to: &mut [Value]) -> bool {
    let mut carries = 0;
    for (from, to) in from.iter().zip(to) {
        carries |= carry(*from);
        *to = *from;
    }
    finite(carries)
}

fn four_places<const BLOCK: usize>(from: &[Value], to: &mut [Value]) -> bool {
    let mut carries = 0;
    for (from, to) in from.chunks(REGION).zip(to.chunks_mut(REGION)) {
        let (from, from_left) = from.as_chunks::<BLOCK>();
        let (to, to_left) = to.as_chunks_mut::<BLOCK>();
        let quarter = from.len().div_ceil(4);
        for at in 0..quarter {
            for at in [at, at + quarter, at + 2 * quarter, at + 3 * quarter] {
                if let (Some(from), Some(to)) = (from.get(at), to.get_mut(at)) {
                    for (from, to) in from.iter().zip(to) {
                        carries |= carry(*from);
                        *to = *from;
                    }
                }
            }
        }
        for (from, to) in from_left.iter().zip(to_left) {
            carries |= carry(*from);
            *to = *from;
        }
    }
    finite(carries)
}

type Way = fn(&[Value], &mut [Value]) -> bool;

const WAYS: [(&str, Way); 6] = [
    ("memcpy, no check", copy),
    ("check 16 KB, then copy it", check_then_copy::<4096>),
    ("check while copying, one place", one_place),
    ("check while copying, four places, blocks of 1", four_places::<1>),
    ("check while copying, four places, blocks of 64", four_places::<64>),
    ("check while copying, four places, blocks of 256", four_places::<256>),
];

fn main() -> io::Result<()> {
    let sources: Vec<Vec<Value>> = (0..SOURCES).map(|_| vec![0.5_f32.to_le_bytes(); VALUES]).collect();
    let mut target = vec![Value::default(); VALUES];
    let mut ratios = WAYS.map(|_| Vec::with_capacity(TURNS));
    for turn in 0..TURNS {
        let spent: Vec<f64> = (0..WAYS.len())
            .map(|way| {
                let source = black_box(&sources[(turn * WAYS.len() + way) % SOURCES]);
                let start = Instant::now();
                assert!(WAYS[way].1(source, black_box(&mut target)), "every value is finite");
                start.elapsed().as_secs_f64()
            })
            .collect();
        for (ratios, seconds) in ratios.iter_mut().zip(&spent) {
            ratios.push(spent[0] / seconds);
        }
    }
    let mut table =
        "# Ways to check and copy 8 MB of float32\n\nMade by `cargo bench --bench streams`: medians of the \
                     turns' ratios, wall clock.\n\n| way | speed, of memcpy |\n|---|---|\n"
            .to_owned();
    for ((name, _), ratios) in WAYS.iter().zip(&mut ratios) {
        ratios.sort_by(f64::total_cmp);
        // A string takes every character.
        let _ = writeln!(table, "| {name} | {:.2} |", ratios[TURNS / 2]);
    }
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/streams.md"), &table)?;
    io::stdout().write_all(table.as_bytes())
}
