//! The machine and the time, in words, for the record of a run.

/// Processor, cores and system, as far as they can be told.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} × {processor}, {}", std::env::consts::OS)
}

/// The present time in UTC, RFC 3339, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

#[cfg(target_os = "macos")]
fn processor() -> Option<String> {
    let out = std::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
    String::from_utf8(out.stdout).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(not(target_os = "macos"))]
fn processor() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let model = field("model name")?;
    let wide = field("flags").is_some_and(|f| f.split(' ').any(|flag| flag == "avx512f"));
    Some(if wide { format!("{model} (AVX-512)") } else { model })
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_is_rfc_3339() {
        let now = super::now();
        assert!(now.ends_with('Z') && now.len() == 20 && now.as_bytes()[10] == b'T', "{now}");
        assert!(super::describe().contains(std::env::consts::OS));
    }
}
