//! Which system this is.

use std::fmt;

/// A system, by the way its packages are installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    /// Debian and what descends from it, Ubuntu among them: apt.
    Debian(String),
    /// macOS: Homebrew. Written, not run.
    MacOs,
    /// Any other: nothing is installed, what is missing is named.
    Other(String),
}

impl Platform {
    pub(super) fn find() -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        match std::fs::read_to_string("/etc/os-release")
            .or_else(|_| std::fs::read_to_string("/usr/lib/os-release"))
        {
            Ok(text) => Self::from_os_release(&text),
            Err(_) => Self::Other(std::env::consts::OS.to_owned()),
        }
    }

    /// Reads the text of an `os-release` file (os-release(5): shell assignments, values maybe quoted).
    fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        let name = match value("PRETTY_NAME") {
            name if name.is_empty() => value("ID"),
            name => name,
        };
        let is_debian = |id: &str| id == "debian" || id == "ubuntu";
        if is_debian(&value("ID")) || value("ID_LIKE").split_whitespace().any(is_debian) {
            Self::Debian(name)
        } else {
            Self::Other(name)
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian(name) | Self::Other(name) => f.write_str(name),
            Self::MacOs => f.write_str("macOS"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_descendants_are_known() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nID=debian\n";
        assert_eq!(
            Platform::from_os_release(debian),
            Platform::Debian("Debian GNU/Linux 12 (bookworm)".into())
        );
        let ubuntu = "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nID=ubuntu\nID_LIKE=debian\n";
        assert_eq!(Platform::from_os_release(ubuntu), Platform::Debian("Ubuntu 24.04.1 LTS".into()));
        let mint = "ID=linuxmint\nID_LIKE='ubuntu debian'\n";
        assert_eq!(Platform::from_os_release(mint), Platform::Debian("linuxmint".into()));
    }

    #[test]
    fn other_systems_keep_their_name() {
        let fedora = "NAME=\"Fedora Linux\"\nID=fedora\nPRETTY_NAME=\"Fedora Linux 43\"\n";
        assert_eq!(Platform::from_os_release(fedora), Platform::Other("Fedora Linux 43".into()));
        assert_eq!(Platform::from_os_release(""), Platform::Other(String::new()));
    }
}
