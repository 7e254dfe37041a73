//! The measurement of `squbed bench decode` without the rest of the program, which takes far longer to build.
//!
//! `cargo run --release -p squbed-video --example decode_speed -- THREADS PICTURES FILE…` prints one line of
//! JSON and writes the pictures, `[videos, 12, 224, 224, 3]` bytes, to the file PICTURES (`-` for none).

#[expect(unreachable_pub, reason = "public in the library that it belongs to")]
#[path = "../../squbed/src/decode_speed.rs"]
mod decode_speed;

use std::{error::Error, fs, io::Write};

use decode_speed::DecodeSpeed;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let usage = "usage: decode_speed THREADS PICTURES FILE…";
    let threads = words.next().and_then(|word| word.to_str()?.parse().ok()).ok_or(usage)?;
    let pictures = words.next().ok_or(usage)?;
    let files = words.map(Into::into).collect();
    let speed = DecodeSpeed { files, frames: 12, side: 224, threads, limits: Default::default() };
    let (result, clips) = speed.run()?;
    if pictures != "-" {
        let mut file = fs::File::create(pictures)?;
        for frame in clips.iter().flatten() {
            file.write_all(frame.rgb())?;
        }
    }
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&result)?)?;
    Ok(())
}
