#![allow(missing_docs, clippy::print_stdout, reason = "temporary")]
use std::time::Instant;
use squbed_core::Sampling;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let path = std::path::Path::new(&args[2]);
    match args[1].as_str() {
        "speed" => {
            for k in 0..3 {
              for skip in [true, false] {
                let options = squbed_video::DecodeOptions { skip_unreferenced: skip, ..Default::default() };
                let t = Instant::now();
                let n = 20;
                for _ in 0..n { squbed_video::decode(path, &[Sampling::Uniform(16)], &options).unwrap(); }
                println!("{k} skip {skip}: {:.2} clips/s", n as f64 / t.elapsed().as_secs_f64());
              }
            }
            let t = Instant::now();
            for _ in 0..20 { squbed_video::probe(path).unwrap(); }
            println!("probe {:.4} s", t.elapsed().as_secs_f64() / 20.0);
        }
        "raw" => {
            use std::io::Write;
            let options = squbed_video::DecodeOptions { damaged: squbed_video::Damaged::Warn, ..Default::default() };
            match squbed_video::probe(path) {
              Ok(i) => { eprintln!("{}", serde_json::to_string(&i).unwrap());
                 match squbed_video::decode(path, &[Sampling::Indices((0..i.frames).collect())], &options) {
                   Ok(d) => { for f in d.clips[0].frames() { std::io::stdout().write_all(f.rgb()).unwrap(); }
                     eprintln!("warnings {:?}", d.warnings);
                     let some = [Sampling::Indices((0..i.frames).step_by(7).collect())];
                     let a = squbed_video::decode(path, &some, &options).unwrap();
                     let b = squbed_video::decode(path, &some, &squbed_video::DecodeOptions{skip_unreferenced:false, ..options}).unwrap();
                     eprintln!("skip equal {}", a.clips == b.clips);
                     eprintln!("pts {:?}", &a.clips[0].pts_seconds()[..3.min(a.clips[0].frames().len())]);
                   }
                   Err(e) => eprintln!("decode: {e} / {:?}", std::error::Error::source(&e).map(|s| s.to_string())) } }
              Err(e) => eprintln!("probe: {e} / {:?}", std::error::Error::source(&e).map(|s| s.to_string())) }
        }
        _ => {}
    }
}
