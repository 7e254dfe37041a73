use squbed_models::*;
fn main() {
    let store = ModelStore::new(None).unwrap();
    for name in std::env::args().skip(1) {
        let t = std::time::Instant::now();
        let mut last = 0;
        let r = store.fetch(&name, &FetchOptions::default(), &mut |p| match p {
            Progress::Bytes { done, .. } if done < last + (16 << 20) && done > last => {}
            p => { if let Progress::Bytes { done, .. } = p { last = done; } println!("{:?} {p:?}", t.elapsed()) }
        });
        match r { Ok(f) => println!("{f:?} {:?}", t.elapsed()), Err(e) => println!("{e}") }
        let t = std::time::Instant::now();
        println!("{:?} {:?}", store.verify(&name), t.elapsed());
    }
}
