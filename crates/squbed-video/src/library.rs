//! What the FFmpeg is that this program was linked with.

use std::ffi::CStr;

use ffmpeg_next::ffi;

/// FFmpeg, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Its release, e.g. `7.1.2`.
    pub version: String,
    /// The licence of this build of it, e.g. `LGPL version 2.1 or later`.
    pub licence: String,
    /// The options that it was built with.
    pub configuration: String,
    /// Its libraries that are used here, with their versions.
    pub parts: Vec<(&'static str, String)>,
}

/// The FFmpeg in use.
pub(crate) fn library() -> Library {
    // SAFETY: it takes nothing, and returns a static string that ends with NUL.
    let version = unsafe { CStr::from_ptr(ffi::av_version_info()) };
    let parts = [
        ("libavutil", ffmpeg_next::util::version()),
        ("libavcodec", ffmpeg_next::codec::version()),
        ("libavformat", ffmpeg_next::format::version()),
        ("libswscale", ffmpeg_next::software::scaling::version()),
    ];
    // AV_VERSION_INT: 16 bits, 8 and 8.
    let dotted = |n: u32| format!("{}.{}.{}", n >> 16, n >> 8 & 0xff, n & 0xff);
    Library {
        version: version.to_string_lossy().into_owned(),
        licence: ffmpeg_next::util::license().to_owned(),
        configuration: ffmpeg_next::util::configuration().to_owned(),
        parts: parts.map(|(name, version)| (name, dotted(version))).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ffmpeg_tells_its_version_and_licence() {
        let library = super::library();
        assert!(library.licence.contains("GPL"), "{library:?}");
        assert!(!library.version.is_empty() && library.configuration.contains("--"), "{library:?}");
        let major = |i: usize| library.parts[i].1.split('.').next().and_then(|n| n.parse::<u32>().ok());
        assert!(major(0) >= Some(56) && library.parts.len() == 4, "{library:?}");
    }
}
