//! `squbed devices`: where encoders can run.

use serde::Serialize;

use crate::{Common, Done, output::Records};

#[derive(Serialize)]
struct DeviceRow {
    device: String,
    usable: bool,
    about: String,
}

pub(crate) fn run(common: &Common) -> anyhow::Result<Done> {
    let rows: Vec<DeviceRow> = ["cpu", "cuda:0", "metal"]
        .into_iter()
        .map(|spec| match squbed::tensor::device::select_device(spec) {
            Ok(device) => DeviceRow {
                device: spec.to_owned(),
                usable: true,
                about: squbed::tensor::device::describe(&device),
            },
            Err(error) => DeviceRow { device: spec.to_owned(), usable: false, about: error.to_string() },
        })
        .collect();
    Records::list(&rows)?.print(common.format)?;
    Ok(Done::Whole)
}
