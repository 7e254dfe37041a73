//! The only module that talks to FFmpeg's C libraries; everything outside it is safe Rust.
//!
//! Each C object has one owner here, which frees it. What differs between FFmpeg's versions (5 to 9)
//! is reached through `ffmpeg-next`, which knows the version it was built for.

mod decoder;
mod input;
mod packet;
#[cfg(test)]
mod planes;
mod scaler;
mod writer;

use std::{
    ffi::{CStr, CString, c_char, c_int},
    path::Path,
    sync::Once,
};

use ffmpeg_next::ffi::{AVPixelFormat, av_get_pix_fmt_name, av_log_set_level, av_strerror};

pub(crate) use decoder::{Decoder, Picture};
pub(crate) use input::{Input, OpenError, Stream};
pub(crate) use packet::Packet;
pub(crate) use scaler::Scaler;
pub(crate) use writer::{Writer, WriterSpec, encoders, has_encoder};

use crate::{Error, LibavError};

/// The mark of a time that is not known, `AV_NOPTS_VALUE`.
const NO_PTS: i64 = i64::MIN;

/// Keeps FFmpeg from writing to stderr, which belongs to the program.
fn be_quiet() {
    static ONCE: Once = Once::new();
    // SAFETY: sets one atomic integer.
    ONCE.call_once(|| unsafe { av_log_set_level(-8) });
}

impl LibavError {
    pub(crate) fn new(code: c_int) -> Self {
        let mut text = [0 as c_char; 128];
        // SAFETY: the buffer is as long as told, and av_strerror ends it with a NUL.
        let text = unsafe {
            av_strerror(code, text.as_mut_ptr(), text.len());
            CStr::from_ptr(text.as_ptr())
        };
        Self { code, text: text.to_string_lossy().into_owned() }
    }
}

/// The value of a call that returns a negative number where it fails.
fn check(code: c_int) -> Result<c_int, LibavError> {
    if code < 0 { Err(LibavError::new(code)) } else { Ok(code) }
}

/// A pointer that FFmpeg allocated, or the error of an allocation that failed.
fn allocated<T>(pointer: *mut T) -> Result<*mut T, LibavError> {
    if pointer.is_null() { Err(LibavError::new(-ffmpeg_next::error::ENOMEM)) } else { Ok(pointer) }
}

/// `path` for FFmpeg's file protocol, whatever characters are in it.
pub(crate) fn file_url(path: &Path) -> Result<CString, Error> {
    let refuse = || Error::Path { path: path.to_owned() };
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let bytes = path.to_str().ok_or_else(refuse)?.as_bytes();
    CString::new([b"file:", bytes].concat()).map_err(|_| refuse())
}

/// A C string of a static or owned-elsewhere text, empty where the pointer is null.
///
/// # Safety
///
/// `text` is null or a NUL-ended string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The number in a field of FFmpeg's that is an enumeration here. Some of them come from the file as they are
/// (Matroska's and AV1's description of colours), and may be none of those that the enumeration has.
///
/// # Safety
///
/// `field` points to an enumeration of C, within a structure that is there.
unsafe fn number<T>(field: *const T) -> c_int {
    const { assert!(size_of::<T>() == size_of::<c_int>()) };
    // SAFETY: the caller's promise; an enumeration of C is as wide as an int, and any int is one.
    unsafe { field.cast::<c_int>().read() }
}

/// FFmpeg's name of a pixel format.
fn pixel_format_name(format: AVPixelFormat) -> String {
    // SAFETY: returns null or a static string.
    unsafe { text(av_get_pix_fmt_name(format)) }
}
