//! Floats of every width, copied and checked for NaN and infinity in one pass.

use crate::error::Fault;
use crate::wire::Sink;

macro_rules! put_finite {
    ($(#[$doc:meta])* $name:ident, $word:ty, exponent $exponent:literal) => {
        $(#[$doc])*
        ///
        /// NaN and infinity, and only they, have all exponent bits set: adding one to the exponent then carries into
        /// the sign bit, which the mask has cleared. No branch and no float operation, so that the loop uses vector
        /// registers.
        pub(super) fn $name(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), Fault> {
            const EXPONENT: $word = $exponent;
            const ONE: $word = EXPONENT & EXPONENT.wrapping_neg();
            const SIGN: $word = EXPONENT + ONE;
            let mut carries: $word = 0;
            sink.put_each(bytes.as_chunks().0, |element| {
                carries |= (<$word>::from_le_bytes(element) & EXPONENT) + ONE;
                element
            })?;
            if carries & SIGN == 0 { Ok(()) } else { Err(Fault::Refused) }
        }
    };
}

put_finite!(
    /// Append float32 values, and say afterwards whether one of them was NaN or infinite.
    put_finite_f32, u32, exponent 0x7f80_0000
);
put_finite!(
    /// Append float64 values, and say afterwards whether one of them was NaN or infinite.
    put_finite_f64, u64, exponent 0x7ff0_0000_0000_0000
);
put_finite!(
    /// Append float16 values, and say afterwards whether one of them was NaN or infinite.
    put_finite_f16, u16, exponent 0x7c00
);
put_finite!(
    /// Append bfloat16 values, and say afterwards whether one of them was NaN or infinite.
    put_finite_bf16, u16, exponent 0x7f80
);

/// What the 16 bits of a float with this exponent mask are where they are no finite number: NaN or an infinity.
pub(super) fn not_finite_16(bits: u16, exponent: u16) -> Option<f64> {
    const SIGN: u16 = 0x8000;
    if bits & exponent != exponent {
        None
    } else if bits & !(exponent | SIGN) != 0 {
        Some(f64::NAN)
    } else if bits & SIGN == 0 {
        Some(f64::INFINITY)
    } else {
        Some(f64::NEG_INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fill_vec;

    type Put = fn(&[u8], &mut Sink<'_>) -> Result<(), Fault>;

    fn written(put: Put, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        fill_vec(bytes.len(), |sink| put(bytes, sink))
    }

    /// Every place of a block, among values of the largest exponent that is finite.
    fn finds(put: Put, good: &[u8], bad: &[u8]) {
        for place in 0..67 {
            let mut bytes = good.repeat(67);
            bytes[place * bad.len()..][..bad.len()].copy_from_slice(bad);
            assert_eq!(written(put, &bytes), Err(Fault::Refused), "{bad:?} at {place}");
        }
        let bytes = good.repeat(67);
        assert_eq!(written(put, &bytes), Ok(bytes));
    }

    #[test]
    fn finds_a_bad_value_at_every_place_of_a_block() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            finds(put_finite_f32, &f32::MAX.to_le_bytes(), &bad.to_le_bytes());
        }
        for bad in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(0x7ff0_0000_0000_0001)] {
            finds(put_finite_f64, &f64::MIN.to_le_bytes(), &bad.to_le_bytes());
        }
        for bad in [0x7c00_u16, 0xfc00, 0x7c01, 0x7e00, 0xffff] {
            finds(put_finite_f16, &0x7bff_u16.to_le_bytes(), &bad.to_le_bytes());
        }
        for bad in [0x7f80_u16, 0xff80, 0x7f81, 0x7fc0, 0xffff] {
            finds(put_finite_bf16, &0x7f7f_u16.to_le_bytes(), &bad.to_le_bytes());
        }
    }

    #[test]
    fn takes_every_finite_value() {
        let edges = [0.0, -0.0, f32::MIN, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), f32::from_bits(0x807f_ffff)];
        assert!(written(put_finite_f32, edges.map(f32::to_le_bytes).as_flattened()).is_ok());
        assert!(written(put_finite_f32, &[]).is_ok());
        let halves: Vec<u8> =
            (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00).flat_map(u16::to_le_bytes).collect();
        assert!(written(put_finite_f16, &halves).is_ok());
    }

    #[test]
    fn names_what_is_not_finite() {
        assert_eq!(not_finite_16(0x7bff, 0x7c00), None);
        assert_eq!(not_finite_16(0xfc00, 0x7c00), Some(f64::NEG_INFINITY));
        assert_eq!(not_finite_16(0x7f80, 0x7f80), Some(f64::INFINITY));
        assert!(not_finite_16(0x7f81, 0x7f80).is_some_and(f64::is_nan));
    }
}
