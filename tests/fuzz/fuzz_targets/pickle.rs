//! Pickles of PyTorch and of numpy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squbed_fuzz::{file, message, within};
use squbed_models::{
    pickle::{Array, read_arrays, read_torch},
    read_checkpoint, tensors_of,
};

/// An instruction of one byte makes an object and its places on stack and memo; views and copies have bounds of
/// their own (`MAX_REPEAT`, `MAX_INSTRUCTIONS`), which do not depend on the input.
fn admitted(data: &[u8]) -> usize {
    (128 << 20) + 512 * data.len()
}

fn check(name: &str, array: &Array<'_>) {
    assert!(name.len() <= 4096 && array.shape.len() <= 64);
    let bytes = array.shape.iter().try_fold(array.element.size(), |n, &dim| n.checked_mul(dim));
    assert_eq!(bytes, Some(array.data.len()), "{name} {:?}", array.shape);
}

fuzz_target!(|data: &[u8]| {
    let numpy = within(admitted(data), || read_arrays(data));
    assert_eq!(numpy, read_arrays(data));
    match &numpy {
        Ok(arrays) => arrays.iter().for_each(|(name, array)| check(name, array)),
        Err(error) => drop(message(error)),
    }

    let torch = within(admitted(data), || read_torch(data));
    assert_eq!(torch, read_torch(data));
    match &torch {
        Ok(found) => {
            found.tensors.iter().for_each(|(name, array)| check(name, array));
            let bytes: usize = found.tensors.iter().map(|(_, array)| array.data.len()).sum();
            assert!(bytes <= (16 << 20) + 8 * data.len());
        }
        Err(error) => drop(message(error)),
    }

    // What is converted is a file that reads back as what was found.
    match within(2 * admitted(data), || read_checkpoint(&file("w.pth", data))) {
        Ok(converted) => {
            let tensors = tensors_of(&converted.bytes).expect("what was converted reads");
            if let Ok(found) = &torch {
                let mut expected: Vec<_> =
                    found.tensors.iter().map(|(name, array)| (name, &array.shape)).collect();
                expected.sort();
                let got: Vec<_> = tensors.iter().map(|info| (&info.name, &info.shape)).collect();
                assert_eq!(got, expected);
            }
            let again = read_checkpoint(&file("w.safetensors", &converted.bytes)).expect("safetensors");
            assert!(again.bytes == converted.bytes && again.left_out.is_empty());
        }
        Err(error) => drop(message(&error)),
    }
});
