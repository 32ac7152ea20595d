//! Decimal numbers to the integers of the machine, exactly.

/// Parses a plain decimal number (`0.8`, `1`, `.95`) as a multiple of `10^-digits`.
pub(crate) fn scaled(text: &str, digits: usize) -> Result<u64, String> {
    let expected = || {
        format!(
            "found `{text}`, expected a decimal number such as 0.8 with at most {digits} digits after the point"
        )
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(expected());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > digits {
        return Err(expected());
    }
    let padded = format!(
        "{}{fraction:0<digits$}",
        if whole.is_empty() { "0" } else { whole }
    );
    padded.parse().map_err(|_| expected())
}

/// Writes a multiple of `10^-digits` as a decimal number without needless zeros.
pub(crate) fn unscaled(value: u64, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let cases = [
            ("0.8", 800),
            ("10", 10_000),
            ("1.", 1000),
            (".5", 500),
            ("0.001", 1),
            ("00.1000", 100),
            ("0", 0),
        ];
        for (text, value) in cases {
            assert_eq!(scaled(text, 3), Ok(value), "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "+1",
            "1e-3",
            "0.0001",
            "NaN",
            "1,5",
            "0x1",
            " 1",
            "99999999999999999999999",
        ] {
            assert!(scaled(text, 3).is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_come_back() {
        for value in [0, 1, 10, 800, 1000, 9_999, 10_000] {
            assert_eq!(scaled(&unscaled(value, 3), 3), Ok(value));
        }
        assert_eq!(unscaled(950_000, 6), "0.95");
        assert_eq!(unscaled(1_000_000, 6), "1");
    }
}
