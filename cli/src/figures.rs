//! Figures for people: `1,234,567`, `1.20 MiB`, `12.3 s`; and sizes as people write them.

/// A count with its thousands apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted; the plural is made by an `s`.
pub fn counted(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(n))
}

/// Bytes in three digits and a unit, powers of 1024.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    // As printed: 1023.7 would be rounded to four digits.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// Nanoseconds in three digits and a unit, minutes and hours from there on.
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    let (value, unit) = match seconds {
        ..0.000_999_5 => (seconds * 1e6, "us"),
        ..0.999_5 => (seconds * 1e3, "ms"),
        ..119.5 => (seconds, "s"),
        _ => {
            let whole = seconds.round() as u64;
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            return match hours {
                0 => format!("{minutes} min {seconds} s"),
                _ => format!("{hours} h {minutes} min"),
            };
        }
    };
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// A part of a whole.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0 %".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.1 => "< 0.1 %".to_owned(),
        ..99.95 => format!("{percent:.1} %"),
        _ if part < whole => "99.9 %".to_owned(),
        _ => "100 %".to_owned(),
    }
}

/// `4096`, `64K`, `1.5MiB`, `2 GB`: powers of 1024 whatever the spelling.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write 4096, 64K, 1.5M or 2G");
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(wrong()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(wrong);
    }
    let value = number.parse::<f64>().map_err(|_| wrong())? * (1u64 << shift) as f64;
    if value < u64::MAX as f64 {
        Ok(value.round() as u64)
    } else {
        Err(wrong())
    }
}

/// `90`, `90s`, `1.5 min`, `250ms`, `2h`: nanoseconds.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no span of time: write 90, 250ms, 90s, 1.5min or 2h");
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let ns = number.parse::<f64>().map_err(|_| wrong())? * seconds * 1e9;
    if ns < u64::MAX as f64 {
        Ok(ns.round() as u64)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        let texts = [0, 12, 999, 1000, 123_456, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(0, "block"), "0 blocks");
    }

    #[test]
    fn bytes_have_three_digits() {
        let values = [
            0,
            1023,
            1024,
            1234,
            10_240,
            102_400,
            1_023_500,
            1_048_575,
            1 << 20,
            5 << 30,
            u64::MAX,
        ];
        let texts = values.map(bytes);
        assert_eq!(
            texts,
            [
                "0 B", "1023 B", "1.00 KiB", "1.21 KiB", "10.0 KiB", "100 KiB", "0.98 MiB",
                "1.00 MiB", "1.00 MiB", "5.00 GiB", "16.0 EiB"
            ]
        );
    }

    #[test]
    fn durations_go_from_microseconds_to_hours() {
        let values = [
            0,
            1_500,
            2_000_000,
            999_600_000,
            12_340_000_000,
            150_000_000_000,
            7_260_000_000_000,
        ];
        let texts = values.map(duration);
        assert_eq!(
            texts,
            [
                "0.00 us",
                "1.50 us",
                "2.00 ms",
                "1.00 s",
                "12.3 s",
                "2 min 30 s",
                "2 h 1 min"
            ]
        );
    }

    #[test]
    fn a_part_is_never_rounded_up_to_the_whole() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(9_999_999, 10_000_000), "99.9 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(percent(1, 100_000), "< 0.1 %");
        assert_eq!(percent(0, 0), "0 %");
    }

    #[test]
    fn spans_of_time_are_read_as_people_write_them() {
        for (text, ns) in [
            ("0", 0),
            ("90", 90_000_000_000),
            ("250ms", 250_000_000),
            ("1.5 min", 90_000_000_000),
            ("2h", 7_200_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(ns), "{text}");
        }
        for text in ["", "s", "-1", "1.2.3s", "5 days", "99999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, size) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65536),
            ("1.5MiB", 1_572_864),
            ("2 GB", 2 << 30),
            ("1tb", 1 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(size), "{text}");
        }
        for text in ["", "K", "1X", "-1", "1.2.3", "99999999999T"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
