//! tmp
use squbed_sim::*;
fn cpu() -> f64 { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0 }
fn main() {
    let w = World::new(WorldSpec::default()).unwrap();
    let t0 = cpu();
    for i in 0..60 { w.generator().frames(&w.tasks()[i % 24].0.prompt, i as u64).unwrap().count(); }
    println!("render {:.1} clips/cpu s", 60.0 / (cpu() - t0));
    let out = std::path::PathBuf::from("/tmp/simlook/w1");
    let _ = std::fs::remove_dir_all(&out);
    let t0 = cpu();
    let f = write_world(&WorldSpec { tasks: 6, ..Default::default() }, &out, &|_| {}).unwrap();
    println!("{} clips {:.1} clips/cpu s", f.written, f.written as f64 / (cpu() - t0));
}
