//! Numbers as a reader wants them: a true minus sign, ∞ for infinities, – for what does not exist.

/// What stands for a number that does not exist.
pub(crate) const UNDEFINED: &str = "–";

/// A number with this many decimals, as the page writes it: a true minus sign, ∞, – for what is undefined.
pub fn fixed(x: f64, decimals: usize) -> String {
    match x {
        x if x.is_nan() => UNDEFINED.to_owned(),
        f64::INFINITY => "∞".to_owned(),
        f64::NEG_INFINITY => "−∞".to_owned(),
        x => {
            let digits = format!("{:.decimals$}", x.abs());
            // No sign on what is rounded to zero.
            let zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
            if x < 0.0 && !zero { format!("−{digits}") } else { digits }
        }
    }
}

/// A correlation.
pub(crate) fn tau(x: f64) -> String {
    fixed(x, 2)
}

/// An interval, or nothing where either end is missing.
pub(crate) fn interval(low: f64, high: f64) -> String {
    if low.is_nan() || high.is_nan() { String::new() } else { format!("[{}, {}]", tau(low), tau(high)) }
}

/// A p-value.
pub(crate) fn p(x: f64) -> String {
    if x < 0.001 { "< 0.001".to_owned() } else { fixed(x, 3) }
}

/// A correlation in a sentence, as everywhere in the page: τ, its interval where there is one, p and n.
/// A τ that does not exist is said to be undefined.
pub fn correlation_text(tau: f64, ci_low: f64, ci_high: f64, p: f64, n: usize) -> String {
    if tau.is_nan() {
        return format!("τ undefined, n = {n}");
    }
    let mut text = format!("τ = {}", self::tau(tau));
    let interval = interval(ci_low, ci_high);
    if !interval.is_empty() {
        text = format!("{text} {interval}");
    }
    match p {
        p if p.is_nan() => {}
        p if p < 0.001 => text = format!("{text}, p {}", self::p(p)),
        p => text = format!("{text}, p = {}", self::p(p)),
    }
    format!("{text}, n = {n}")
}

/// Decimals at which the values of a column can be told apart: three digits of their range.
pub(crate) fn decimals(values: impl IntoIterator<Item = f64>) -> usize {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for x in values.into_iter().filter(|x| x.is_finite()) {
        (low, high) = (low.min(x), high.max(x));
    }
    let span = high - low;
    if span > 0.0 { (2.0 - span.log10().floor()).clamp(0.0, 4.0) as usize } else { 2 }
}

/// Decimals for ranks and other sums of halves: none, or one where a tie left a half.
pub(crate) fn rank_decimals(values: impl IntoIterator<Item = f64>) -> usize {
    usize::from(values.into_iter().any(|x| x.is_finite() && x.fract() != 0.0))
}

/// The whole number, for a reader who wants every digit.
pub(crate) fn exact(x: f64) -> String {
    if x.is_finite() { format!("{x}").replace('-', "−") } else { fixed(x, 0) }
}

/// What a script sorts by: a number that JavaScript reads, nothing where there is none.
pub(crate) fn sortable(x: f64) -> String {
    match x {
        x if x.is_nan() => String::new(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        x => format!("{x}"),
    }
}

/// A duration.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return UNDEFINED.to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// A rate, three digits of it.
pub(crate) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second <= 0.0 {
        return UNDEFINED.to_owned();
    }
    fixed(per_second, (2.0 - per_second.log10().floor()).clamp(0.0, 4.0) as usize)
}

/// Text that a page can carry: control characters, which neither XML nor HTML allow, are replaced.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{FFFE}' | '\u{FFFF}') {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

/// Text inside XML, also inside a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Part of a file name or an anchor: lower-case ASCII letters, digits and single hyphens.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-1830.44, 1), "−1830.4");
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(fixed(f64::NEG_INFINITY, 2), "−∞");
        assert_eq!(fixed(f64::NAN, 2), "–");
        assert_eq!((p(0.0004), p(0.009), p(f64::NAN)), ("< 0.001".into(), "0.009".into(), "–".into()));
        assert_eq!(interval(-0.2, f64::NAN), "");
        assert_eq!(interval(-0.204, 1.0), "[−0.20, 1.00]");
        assert_eq!(
            (duration(4.21), duration(75.0), duration(3720.0)),
            ("4.2 s".into(), "1 min 15 s".into(), "1 h 02 min".into())
        );
        assert_eq!((rate(0.456), rate(12.34), rate(1234.5)), ("0.456".into(), "12.3".into(), "1234".into()));
        assert_eq!(rate(f64::INFINITY), "–");
    }

    #[test]
    fn decimals_follow_the_range() {
        assert_eq!(decimals([-1084.2, -1077.1]), 2);
        assert_eq!(decimals([-1220.0, -780.0]), 0);
        assert_eq!(decimals([0.91, 0.94, f64::INFINITY, f64::NAN]), 4);
        assert_eq!(decimals([3.0]), 2);
        assert_eq!((rank_decimals([2.0, 9.0]), rank_decimals([2.5])), (0, 1));
    }

    #[test]
    fn text_is_made_harmless() {
        assert_eq!(escape("<a href='x'>&\u{0}"), "&lt;a href=&#39;x&#39;&gt;&amp;\u{FFFD}");
        assert_eq!(slug("Task 3 / “Ü”: x"), "task-3-x");
        assert_eq!(slug("ü"), "");
    }
}
