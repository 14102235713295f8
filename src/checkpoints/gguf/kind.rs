//! The types of numbers in a GGUF file, and their numbers as f32.
//!
//! Quantised types store a row in blocks of 32 or 256 numbers, each block with its own scales. Source: `ggml-quants.c`
//! and `ggml-common.h` of llama.cpp, and `quants.py` of its Python package gguf, whose results these are bit for
//! bit: every product and sum is rounded to f32 as there.

use half::{bf16, f16};

/// A type of numbers.
#[derive(Debug)]
pub struct Kind {
    /// Number in the file.
    id: u32,
    /// Name in llama.cpp.
    pub name: &'static str,
    /// Numbers of a block.
    pub block: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// The numbers of one block.
    widen: fn(&[u8], &mut [f32]),
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// Numbers of a block of the K-quants.
const K: usize = 256;

static KINDS: [Kind; 13] = [
    kind(0, "F32", 1, 4, f32_),
    kind(1, "F16", 1, 2, f16_),
    kind(30, "BF16", 1, 2, bf16_),
    kind(8, "Q8_0", 32, 34, q8_0),
    kind(2, "Q4_0", 32, 18, q4_0),
    kind(3, "Q4_1", 32, 20, q4_1),
    kind(6, "Q5_0", 32, 22, q5_0),
    kind(7, "Q5_1", 32, 24, q5_1),
    kind(10, "Q2_K", K, 84, q2_k),
    kind(11, "Q3_K", K, 110, q3_k),
    kind(12, "Q4_K", K, 144, q4_k),
    kind(13, "Q5_K", K, 176, q5_k),
    kind(14, "Q6_K", K, 210, q6_k),
];

/// Types that llama.cpp knows and this crate does not read, for messages.
const OTHERS: [(u32, &str); 20] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

const fn kind(
    id: u32,
    name: &'static str,
    block: usize,
    bytes: usize,
    widen: fn(&[u8], &mut [f32]),
) -> Kind {
    Kind {
        id,
        name,
        block,
        bytes,
        widen,
    }
}

/// Name of a type's number, read here or not.
pub(super) fn name_of(id: u32) -> &'static str {
    let other = || OTHERS.iter().find(|(known, _)| *known == id);
    Kind::find(id)
        .map(|kind| kind.name)
        .or_else(|| other().map(|(_, name)| *name))
        .unwrap_or("unknown")
}

impl Kind {
    /// The type of a number, when it is read here.
    pub(super) fn find(id: u32) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.id == id)
    }

    /// Names of all types that are read here.
    pub fn names() -> String {
        KINDS.each_ref().map(|kind| kind.name).join(", ")
    }

    /// Bytes of `count` numbers; nothing when these are no whole blocks, or too many.
    pub(super) fn bytes_of(&self, count: usize) -> Option<usize> {
        count
            .is_multiple_of(self.block)
            .then(|| (count / self.block).checked_mul(self.bytes))
            .flatten()
    }

    /// The numbers of some whole blocks.
    ///
    /// # Panics
    /// When `out` has not the size of the blocks.
    pub fn widen(&self, blocks: &[u8], out: &mut [f32]) {
        assert_eq!(blocks.len() / self.bytes * self.block, out.len());
        let blocks = blocks.chunks_exact(self.bytes);
        for (block, out) in blocks.zip(out.chunks_exact_mut(self.block)) {
            (self.widen)(block, out);
        }
    }
}

/// A number of 16 bits at `at`.
fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn f32_(block: &[u8], out: &mut [f32]) {
    out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
}

fn f16_(block: &[u8], out: &mut [f32]) {
    out[0] = half(block, 0);
}

fn bf16_(block: &[u8], out: &mut [f32]) {
    out[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32();
}

/// d, 32 signed bytes: d·q.
fn q8_0(block: &[u8], out: &mut [f32]) {
    let d = half(block, 0);
    for (x, &q) in out.iter_mut().zip(&block[2..]) {
        *x = f32::from(q as i8) * d;
    }
}

/// The 32 numbers of 4 bits in 16 bytes: the low halves first.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let low = bytes.iter().map(|byte| byte & 15);
    low.chain(bytes.iter().map(|byte| byte >> 4))
}

/// The 32 numbers of 5 bits: 4 low bits in 16 bytes, the fifth in the bits of a word.
fn fives(high: &[u8], low: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    nibbles(low)
        .enumerate()
        .map(move |(i, q)| q | ((high >> i & 1) as u8) << 4)
}

/// d, 32 times 4 bits: d·(q − 8).
fn q4_0(block: &[u8], out: &mut [f32]) {
    let d = half(block, 0);
    for (x, q) in out.iter_mut().zip(nibbles(&block[2..])) {
        *x = d * f32::from(q as i8 - 8);
    }
}

/// d, m, 32 times 4 bits: d·q + m.
fn q4_1(block: &[u8], out: &mut [f32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (x, q) in out.iter_mut().zip(nibbles(&block[4..])) {
        *x = d * f32::from(q) + m;
    }
}

/// d, fifth bits, 32 times 4 bits: d·(q − 16).
fn q5_0(block: &[u8], out: &mut [f32]) {
    let d = half(block, 0);
    for (x, q) in out.iter_mut().zip(fives(&block[2..6], &block[6..])) {
        *x = d * f32::from(q as i8 - 16);
    }
}

/// d, m, fifth bits, 32 times 4 bits: d·q + m.
fn q5_1(block: &[u8], out: &mut [f32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (x, q) in out.iter_mut().zip(fives(&block[4..8], &block[8..])) {
        *x = d * f32::from(q) + m;
    }
}

/// 16 scales and minima of 4 bits each, 256 times 2 bits, d, d_min: (d·s)·q − d_min·m, by 16.
fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, quants) = (&block[..16], &block[16..80]);
    let (d, dmin) = (half(block, 80), half(block, 82));
    for (i, x) in out.iter_mut().enumerate() {
        let scale = scales[i / 16];
        let (s, m) = (d * f32::from(scale & 15), dmin * f32::from(scale >> 4));
        *x = s * f32::from(pairs(quants, i)) - m;
    }
}

/// Number `i` of 256 of 2 bits: of every 32 bytes the lowest bits come first.
fn pairs(bytes: &[u8], i: usize) -> u8 {
    bytes[i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3
}

/// Third bits, 256 times 2 bits, 16 scales of 6 bits, d: (d·(s − 32))·(q − 4 where the third bit is not set), by 16.
fn q3_k(block: &[u8], out: &mut [f32]) {
    let (mask, quants, packed) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half(block, 108);
    let scale = |i: usize| {
        let low = packed[i % 8] >> (4 * (i / 8)) & 15;
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        d * f32::from((low | high << 4) as i8 - 32)
    };
    let scales: [f32; 16] = std::array::from_fn(scale);
    for (i, x) in out.iter_mut().enumerate() {
        let third = mask[i % 32] >> (i / 32) & 1;
        let q = pairs(quants, i) as i8 - 4 * (1 - third as i8);
        *x = scales[i / 16] * f32::from(q);
    }
}

/// Scale and minimum number `i` of 8, of 6 bits each in 12 bytes.
fn scale_and_minimum(packed: &[u8], i: usize) -> (f32, f32) {
    let (scale, minimum) = if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        let both = packed[i + 4];
        (
            both & 15 | packed[i - 4] >> 6 << 4,
            both >> 4 | packed[i] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// d, d_min, 8 scales and minima of 6 bits, 256 times 4 bits: (d·s)·q − d_min·m, by 32.
fn q4_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half(block, 0), half(block, 2));
    for (i, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], i);
        let (s, m) = (d * scale, dmin * minimum);
        let quants = &block[16 + i / 2 * 32..][..32];
        for (x, &byte) in out.iter_mut().zip(quants) {
            *x = s * f32::from(byte >> (4 * (i % 2)) & 15) - m;
        }
    }
}

/// As [`q4_k`], with fifth bits in 32 bytes before the others.
fn q5_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half(block, 0), half(block, 2));
    let fifth = &block[16..48];
    for (i, out) in out.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], i);
        let (s, m) = (d * scale, dmin * minimum);
        let quants = &block[48 + i / 2 * 32..][..32];
        for ((x, &byte), &fifth) in out.iter_mut().zip(quants).zip(fifth) {
            let q = byte >> (4 * (i % 2)) & 15 | (fifth >> i & 1) << 4;
            *x = s * f32::from(q) - m;
        }
    }
}

/// 256 times 4 low bits, 256 times 2 high bits, 16 signed scales of 8 bits, d: (d·s)·(q − 32), by 16.
fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half(block, 208);
    for (i, x) in out.iter_mut().enumerate() {
        let low = low[i / 128 * 64 + i % 64] >> (4 * (i / 64 % 2)) & 15;
        let q = (low | pairs(high, i) << 4) as i8 - 32;
        *x = d * f32::from(scales[i / 16] as i8) * f32::from(q);
    }
}
