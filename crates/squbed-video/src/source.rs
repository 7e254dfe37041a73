//! The packets of a file, read once or, of a large file, once a pass.

use crate::{
    LibavError,
    ffi::{Input, Packet, Stream},
};

/// Packets are kept in memory up to this many bytes of a file.
const KEPT: usize = 64 << 20;

/// An open file and its packets.
pub(crate) struct Source {
    pub(crate) input: Input,
    pub(crate) stream: Stream,
    /// All packets so far; none once they are too many.
    kept: Option<Vec<Packet>>,
    bytes: usize,
}

impl Source {
    pub(crate) fn new(input: Input, stream: Stream) -> Self {
        Self { input, stream, kept: Some(Vec::new()), bytes: 0 }
    }

    /// The file's next packet; none at the end.
    pub(crate) fn read(&mut self) -> Result<Option<Packet>, LibavError> {
        let mut packet = Packet::new()?;
        Ok(self.input.read(self.stream.index, &mut packet)?.then_some(packet))
    }

    /// Keeps a packet for the passes to come, if there is room.
    pub(crate) fn keep(&mut self, packet: Packet) {
        self.bytes = self.bytes.saturating_add(packet.data().len());
        match &mut self.kept {
            Some(kept) if self.bytes <= KEPT => kept.push(packet),
            kept => *kept = None,
        }
    }

    /// The kept packets; none where the file must be opened and read again.
    pub(crate) fn kept(&self) -> Option<&[Packet]> {
        self.kept.as_deref()
    }
}
