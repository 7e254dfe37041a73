//! How long a file should be by its own words, to tell one that is cut short from one that is no video.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// What the outermost structure of a file says about its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of the file.
    pub(crate) got: u64,
    /// Bytes that the structure asks for, at least; zero where it says nothing.
    pub(crate) expected: u64,
    /// The family of mp4, written in fragments: no table at its beginning lists all frames.
    pub(crate) fragmented: bool,
}

impl Extent {
    /// Reads only the headers of the outermost parts.
    pub(crate) fn of(file: &mut File) -> io::Result<Self> {
        let got = file.metadata()?.len();
        let mut head = [0; 12];
        let length = read_up_to(file, 0, &mut head)?;
        let head = &head[..length];
        let mut extent = Self { got, ..Self::default() };
        if head.starts_with(b"RIFF") && head.len() == 12 {
            // AVI: a length behind the name; further RIFF parts may follow in a long file. All ones stand for
            // a length that was not known.
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            extent.expected = if length == u32::MAX { 0 } else { 8 + u64::from(length) };
        } else if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
            extent.expected = segment_end(file)?.unwrap_or(0);
        } else {
            extent.walk_boxes(file)?;
        }
        Ok(extent)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.got < self.expected
    }

    /// The boxes of an mp4 or a mov, one behind the other: length, name, contents (ISO/IEC 14496-12, 4.2).
    fn walk_boxes(&mut self, file: &mut File) -> io::Result<()> {
        const NAMES: [&[u8; 4]; 12] = [
            b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"sidx",
            b"moof", b"mfra",
        ];
        let mut at = 0;
        while at < self.got {
            let mut head = [0; 16];
            let length = read_up_to(file, at, &mut head)?;
            if length < 8 || !NAMES.iter().any(|name| head[4..8] == **name) {
                // Not a box: the end of what is known. Bytes behind a whole video are common.
                return Ok(());
            }
            self.fragmented |= &head[4..8] == b"moof";
            let long = u64::from_be_bytes([
                head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
            ]);
            let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
                // The last box, to the end of the file.
                0 => return Ok(()),
                1 if length == 16 => long,
                short => u64::from(short),
            };
            let Some(end) = at.checked_add(size).filter(|_| size >= 8) else { return Ok(()) };
            (at, self.expected) = (end, end);
        }
        Ok(())
    }
}

/// Where the segment of a Matroska file ends: behind the EBML header, an element with the number 18538067
/// and its length (RFC 8794). None where it says "unknown", as of a live recording.
fn segment_end(file: &mut File) -> io::Result<Option<u64>> {
    let mut head = [0; 128];
    let length = read_up_to(file, 0, &mut head)?;
    let head = &head[..length];
    let Some((header, width)) = head.get(4..).and_then(ebml_length) else { return Ok(None) };
    let Some(at) = header.and_then(|header| usize::try_from(header).ok()?.checked_add(4 + width)) else {
        return Ok(None);
    };
    let Some(segment) = head.get(at..).filter(|rest| rest.starts_with(&[0x18, 0x53, 0x80, 0x67])) else {
        return Ok(None);
    };
    let end =
        ebml_length(&segment[4..]).and_then(|(length, width)| length?.checked_add((at + 4 + width) as u64));
    Ok(end)
}

/// A length of variable width (RFC 8794, 4) and its width; no length where all its bits are set.
fn ebml_length(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() as usize + 1;
    if width > 8 {
        return None;
    }
    let rest = bytes.get(1..width)?;
    let mask = (1u64 << (8 - width)) - 1;
    let value = rest.iter().fold(u64::from(first) & mask, |value, &byte| value << 8 | u64::from(byte));
    let unknown = value == (1u64 << (7 * width)) - 1;
    Some(((!unknown).then_some(value), width))
}

/// Fills `buffer` from `at` on as far as the file goes.
fn read_up_to(file: &mut File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn extent(bytes: &[u8]) -> Extent {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Extent::of(&mut file).unwrap()
    }

    #[test]
    fn boxes_tell_their_end() {
        let file = [b"\0\0\0\x0cftypisom".as_slice(), b"\0\0\0\x64mdat", &[0; 20]].concat();
        assert_eq!(extent(&file), Extent { got: 40, expected: 112, fragmented: false });
        // A length of 64 bits, and one that reaches to the end whatever that is.
        let long = [b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0".as_slice(), &[0; 4]].concat();
        assert_eq!(extent(&long).expected, 1 << 32);
        assert!(!extent(b"\0\0\0\x08free\0\0\0\0mdat1234").is_cut());
        // Bytes behind the last box are none of its business.
        assert!(!extent(b"\0\0\0\x08freea text behind it").is_cut());
        // Lengths that run backwards or over end the walk.
        assert!(!extent(b"\0\0\0\x02freexxxx").is_cut());
        assert!(!extent(b"\0\0\0\x08free\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff").is_cut());
    }

    #[test]
    fn a_segment_tells_its_end() {
        let file = b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x01\0\0\0\0\0\x01\0rest";
        assert_eq!(extent(file), Extent { got: 23, expected: 19 + 256, fragmented: false });
        assert_eq!(
            extent(b"\x1a\x45\xdf\xa3\x82ab\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff").expected,
            0
        );
        for length in 0..12 {
            assert_eq!(extent(&file[..length]).expected, 0);
        }
    }

    #[test]
    fn other_files_say_nothing() {
        assert_eq!(extent(b""), Extent::default());
        assert_eq!(extent(b"a text").expected, 0);
        assert_eq!(extent(b"RIFF\x10\0\0\0AVI ").expected, 24);
    }
}
