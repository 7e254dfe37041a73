//! Draws the closed world onto a PNG, to be looked at: one row a prompt, given one a line on standard
//! input, with eight frames of the clip that fully knows it.
//!
//! ```sh
//! jq -r .prompt world/tasks.jsonl | cargo run -p squbed-sim --example contact_sheet -- sheet.png
//! ```

use std::{error::Error, io::BufRead};

use image::{RgbImage, imageops};
use squbed_sim::{SIDE, frames, parse};

const COLUMNS: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args().nth(1).ok_or("name the PNG to write")?;
    let prompts: Vec<String> = std::io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let pixels = |cells: usize| (cells * (SIDE + 4)) as u32;
    let mut sheet = RgbImage::new(pixels(COLUMNS), pixels(prompts.len()));
    for (row, prompt) in prompts.iter().enumerate() {
        let scene = squbed_sim::true_scene(&parse(prompt)?, row as u64);
        let clip: Vec<_> = frames(&scene, row as u64).collect();
        for column in 0..COLUMNS {
            let frame = clip[column * clip.len() / COLUMNS].clone();
            let image = RgbImage::from_raw(SIDE as u32, SIDE as u32, frame.into_rgb()).ok_or("frame size")?;
            imageops::replace(&mut sheet, &image, i64::from(pixels(column)), i64::from(pixels(row)));
        }
    }
    sheet.save(&out)?;
    Ok(())
}
