//! numpy's `.npy`, by both of its readers.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use squbed_fuzz::{elements, file, message, path, within};
use squbed_models::{read_checkpoint, tensors_of};
use squbed_store::{NpyArray, NpyData, write_npy};

/// An array takes its own bytes, and a pickle of objects what the target `pickle` admits.
fn admitted(data: &[u8]) -> usize {
    (128 << 20) + 512 * data.len()
}

fuzz_target!(|data: &[u8]| {
    let array = within(1024 + 64 * data.len(), || NpyArray::from_bytes(data));
    let converted = within(admitted(data), || read_checkpoint(&file("a.npy", data)));
    match &array {
        Ok(array) => {
            assert_eq!(array.data().len(), elements(array.shape()));
            // Written it is numpy's own spelling, which reads back bit for bit.
            let out = path("out.npy");
            write_npy(&out, array).expect("what was read can be written");
            let written = fs::read(&out).expect("a file");
            let again = NpyArray::from_bytes(&written).expect("what was written reads");
            assert_eq!(again.shape(), array.shape());
            write_npy(&out, &again).expect("what was read can be written");
            assert!(fs::read(&out).expect("a file") == written);
            let size = if matches!(array.data(), NpyData::F32(_)) { 4 } else { 8 };
            assert!(data.ends_with(&written[written.len() - size * array.data().len()..]));
        }
        Err(error) => drop(message(error)),
    }
    match &converted {
        Ok(converted) => {
            let tensors = tensors_of(&converted.bytes).expect("what was converted reads");
            assert!(!tensors.is_empty());
            if let Ok(array) = &array {
                assert_eq!(tensors.len(), 1);
                assert_eq!(tensors[0].shape, array.shape());
            }
        }
        Err(error) => drop(message(error)),
    }
});
