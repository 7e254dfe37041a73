//! Tar archives of WebDataset.

use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};

use super::{Clip, DatasetError, ExportOptions, ending_of};
use crate::{error::Result, progress::Progress};

/// Writes the clips as archives `data-000000.tar`, …; each appears whole or not at all. Returns their number.
pub(super) fn write(
    clips: &mut [Clip<'_>],
    options: &ExportOptions<'_>,
    progress: &dyn Progress,
) -> Result<usize> {
    for (i, clip) in clips.iter_mut().enumerate() {
        // A key is what stands before the first dot.
        clip.row.file_name = format!("{i:08}.{}", ending_of(clip.from));
    }
    progress.begin("write archives", clips.len() as u64, "clips");
    let shards = clips.chunks(options.clips_per_shard.max(1));
    let number = shards.len();
    for (i, shard) in shards.enumerate() {
        let path = options.out.join(format!("data-{i:06}.tar"));
        squbed_files::write_with(&path, |out| write_shard(out, shard, progress))
            .map_err(|source| DatasetError::Io { operation: "write", path: path.clone(), source })?;
    }
    progress.end();
    Ok(number)
}

fn write_shard(out: impl Write, clips: &[Clip<'_>], progress: &dyn Progress) -> io::Result<()> {
    let mut archive = Builder::new(out);
    for clip in clips {
        let row = &clip.row;
        let key = row.file_name.split('.').next().unwrap_or_default();
        let json = serde_json::to_vec(row)?;
        // The prompt that the clip was made of, as readers of captions expect it.
        let text = row.latent_prompt.as_deref().unwrap_or(&row.prompt);
        append(&mut archive, &format!("{key}.json"), json.len() as u64, json.as_slice())?;
        append(&mut archive, &format!("{key}.txt"), text.len() as u64, text.as_bytes())?;
        let video = squbed_files::open(clip.from)?;
        append(&mut archive, &row.file_name, clip.bytes, video)?;
        progress.advance(1);
    }
    archive.into_inner()?.flush()
}

/// Nothing of the machine goes into an archive: same clips, same bytes.
fn append(archive: &mut Builder<impl Write>, name: &str, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut counted = Counted { content, read: 0 };
    archive.append_data(&mut header, name, &mut counted)?;
    // A file that changed since it was digested would shift everything after it.
    if counted.read == size {
        Ok(())
    } else {
        Err(io::Error::other(format!("`{name}` changed while it was read")))
    }
}

struct Counted<R> {
    content: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(buffer)?;
        self.read += n as u64;
        Ok(n)
    }
}
