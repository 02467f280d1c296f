//! Why `Sink::put_each` reads at four places at once: ways to copy 8 MB of float32 and to find NaN and infinity in it.
//!
//! `cargo bench --bench streams`. Eight sources take turns, so that none is in a cache when its turn comes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const VALUES: usize = 2_000_000;
const SOURCES: usize = 8;
/// Values of one region of four streams: 512 KB.
const REGION: usize = 128 * 1024;

fn carry(value: f32) -> u32 {
    (value.to_bits() & 0x7f80_0000) + 0x0080_0000
}

fn finite(carries: u32) -> bool {
    carries & 0x8000_0000 == 0
}

fn check(values: &[f32]) -> u32 {
    values.iter().fold(0, |carries, value| carries | carry(*value))
}

fn copy(from: &[f32], to: &mut [f32]) -> bool {
    to.copy_from_slice(from);
    true
}

fn blocks(from: &[f32], to: &mut [f32], block: usize) -> bool {
    from.chunks(block).zip(to.chunks_mut(block)).all(|(from, to)| finite(check(from)) && copy(from, to))
}

fn one_place(from: &[f32], to: &mut [f32]) -> bool {
    let mut carries = 0;
    for (from, to) in from.iter().zip(to) {
        carries |= carry(*from);
        *to = *from;
    }
    finite(carries)
}

fn four_places(from: &[f32], to: &mut [f32]) -> bool {
    let mut carries = 0;
    for (from, to) in from.chunks(REGION).zip(to.chunks_mut(REGION)) {
        let quarter = from.len() / 4;
        let [a, b, c, d] = [0, 1, 2, 3].map(|part| &from[part * quarter..(part + 1) * quarter]);
        let (to_a, rest) = to.split_at_mut(quarter);
        let (to_b, rest) = rest.split_at_mut(quarter);
        let (to_c, rest) = rest.split_at_mut(quarter);
        let (to_d, rest) = rest.split_at_mut(quarter);
        for at in 0..quarter {
            carries |= carry(a[at]) | carry(b[at]) | carry(c[at]) | carry(d[at]);
            (to_a[at], to_b[at], to_c[at], to_d[at]) = (a[at], b[at], c[at], d[at]);
        }
        carries |= check(&from[4 * quarter..]);
        rest.copy_from_slice(&from[4 * quarter..]);
    }
    finite(carries)
}

fn streams(criterion: &mut Criterion) {
    let sources: Vec<Vec<f32>> = (0..SOURCES).map(|_| vec![0.5; VALUES]).collect();
    let mut target = vec![0.0; VALUES];
    let mut group = criterion.benchmark_group("8 MB of float32");
    group.throughput(Throughput::Bytes(4 * VALUES as u64));
    let mut measure = |name: &str, way: &dyn Fn(&[f32], &mut [f32]) -> bool| {
        let mut turn = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                turn += 1;
                assert!(way(black_box(&sources[turn % SOURCES]), &mut target));
            });
        });
    };
    measure("memcpy, no check", &copy);
    measure("check 16 KB, then copy it", &|from, to| blocks(from, to, 4 * 1024));
    measure("check 3 KB, then copy it", &|from, to| blocks(from, to, 768));
    measure("check while copying, at one place", &one_place);
    measure("check while copying, at four places", &four_places);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = streams
}
criterion_main!(benches);
