//! Headers of safetensors files, by both of their readers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squbed_fuzz::{elements, file, message, within};
use squbed_models::{Weights, read_checkpoint, tensors_of};
use squbed_store::{read_all_safetensors, read_safetensors};

/// Headers are JSON, whose values take some dozens of bytes a byte at worst.
fn admitted(data: &[u8]) -> usize {
    (1 << 20) + 256 * data.len()
}

fuzz_target!(|data: &[u8]| {
    let path = file("w.safetensors", data);
    let arrays = within(admitted(data), || read_all_safetensors(&path));
    let weights = within(admitted(data), || Weights::open(&path));
    match &arrays {
        Ok(arrays) => {
            for (name, array) in arrays {
                assert_eq!(array.data().len(), elements(array.shape()));
                let one = read_safetensors(&path, Some(name)).expect("a tensor by its name");
                assert_eq!(one.shape(), array.shape());
            }
            let weights = weights.as_ref().expect("what one reader reads, the other does");
            let mut names = weights.names();
            names.sort();
            let mut expected: Vec<_> = arrays.iter().map(|(name, _)| name.clone()).collect();
            expected.sort();
            assert_eq!(names, expected);
            assert!(arrays.iter().all(|(name, array)| weights.shape(name) == Some(array.shape())));
        }
        Err(error) => drop(message(error)),
    }
    match &weights {
        Ok(weights) => {
            for name in weights.names() {
                let shape = weights.shape(&name).expect("a tensor that is named").to_vec();
                match within(admitted(data), || weights.f64(&name, &shape)) {
                    Ok(numbers) => {
                        assert_eq!(numbers.len(), elements(&shape));
                        assert!(numbers.iter().all(|x| x.is_finite()));
                    }
                    Err(error) => drop(message(&error)),
                }
            }
        }
        Err(error) => drop(message(error)),
    }
    if let Ok(tensors) = tensors_of(data) {
        let converted = read_checkpoint(&path).expect("a safetensors file is a checkpoint");
        assert!(converted.bytes == data);
        assert_eq!(tensors_of(&converted.bytes).expect("the same bytes"), tensors);
    }
});
