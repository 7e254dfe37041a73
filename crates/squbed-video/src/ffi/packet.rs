use ffmpeg_next::ffi::{
    AV_PKT_FLAG_CORRUPT, AV_PKT_FLAG_DISCARD, AVPacket, av_packet_alloc, av_packet_free, av_packet_unref,
};

use super::{NO_PTS, allocated};
use crate::LibavError;

/// A packet: one coded frame, as a rule.
pub(crate) struct Packet {
    raw: *mut AVPacket,
}

impl Packet {
    pub(crate) fn new() -> Result<Self, LibavError> {
        // SAFETY: no preconditions.
        Ok(Self { raw: allocated(unsafe { av_packet_alloc() })? })
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut AVPacket {
        self.raw
    }

    pub(super) fn as_ptr(&self) -> *const AVPacket {
        self.raw
    }

    /// Lets go of the contents.
    pub(super) fn clear(&mut self) {
        // SAFETY: `raw` is a packet from av_packet_alloc.
        unsafe { av_packet_unref(self.raw) }
    }

    fn get(&self) -> &AVPacket {
        // SAFETY: `raw` is a packet from av_packet_alloc, alive as long as self.
        unsafe { &*self.raw }
    }

    /// Presentation time in ticks.
    pub(crate) fn pts(&self) -> Option<i64> {
        (self.get().pts != NO_PTS).then_some(self.get().pts)
    }

    /// Duration in ticks, zero where unknown.
    pub(crate) fn duration(&self) -> i64 {
        self.get().duration
    }

    /// Whether the demuxer could not read all of it.
    pub(crate) fn is_corrupt(&self) -> bool {
        self.get().flags & AV_PKT_FLAG_CORRUPT != 0
    }

    /// Whether it is decoded for others' sake only and not shown (an edit list cuts it).
    pub(crate) fn is_discarded(&self) -> bool {
        self.get().flags & AV_PKT_FLAG_DISCARD != 0
    }

    pub(crate) fn data(&self) -> &[u8] {
        let packet = self.get();
        if packet.data.is_null() {
            return &[];
        }
        // SAFETY: a packet's data holds `size` bytes, and is not changed while self is borrowed.
        unsafe { std::slice::from_raw_parts(packet.data, usize::try_from(packet.size).unwrap_or(0)) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: `raw` came from av_packet_alloc and is freed once.
        unsafe { av_packet_free(&mut self.raw) }
    }
}
