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

/// Memory in bytes, all of it and what is available, as far as the system tells.
pub fn memory() -> Option<(u64, Option<u64>)> {
    if cfg!(target_os = "macos") {
        let out = std::process::Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        return Some((String::from_utf8(out.stdout).ok()?.trim().parse().ok()?, None));
    }
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some((bytes("MemTotal")?, bytes("MemAvailable")))
}

/// Bytes of all files below a folder; links are not followed.
pub fn folder_size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_size(&entry.path()),
        Ok(found) if found.is_file() => found.len(),
        _ => 0,
    };
    entries.map(size).sum()
}

#[cfg(target_os = "macos")]
/// The processor's name, as far as the system tells.
pub(crate) fn processor() -> Option<String> {
    let out = std::process::Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
    String::from_utf8(out.stdout).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(not(target_os = "macos"))]
/// The processor's name, as far as the system tells.
pub(crate) fn processor() -> Option<String> {
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

    #[test]
    fn memory_is_told_in_bytes() {
        if let Some((total, free)) = super::memory() {
            assert!(total > 1 << 28 && free.is_none_or(|free| free <= total), "{total} {free:?}");
        }
        assert!(super::memory().is_some() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn a_folder_is_the_sum_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [0; 1000]).unwrap();
        std::fs::write(folder.path().join("c"), [0; 24]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).unwrap();
        assert_eq!(super::folder_size(folder.path()), 1024);
        assert_eq!(super::folder_size(&folder.path().join("nowhere")), 0);
    }
}
