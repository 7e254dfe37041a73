//! `squbed devices`: what this build and this machine can do.

use serde::Serialize;
use squbed::{
    cuda_program::NAME,
    devices::{Survey, survey},
};

use crate::{
    Common, Done,
    output::{Format, Records},
};

/// A line for people.
#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: String,
    state: String,
}

pub(crate) fn run(common: &Common) -> anyhow::Result<Done> {
    let survey = survey();
    match common.format {
        Format::Json | Format::Jsonl => Records::one(&survey)?.print(common.format)?,
        Format::Table | Format::Csv => Records::list(&rows(&survey))?.print(common.format)?,
    }
    Ok(Done::Whole)
}

fn rows(survey: &Survey) -> Vec<Row> {
    let row = |kind, name: &str, state: String| Row { kind, name: name.to_owned(), state };
    let mut rows = vec![row("program", "squbed", survey.version.to_owned())];
    let features = &survey.features;
    for (name, on) in [
        ("ffmpeg", features.ffmpeg),
        ("cuda", features.cuda),
        ("cudnn", features.cudnn),
        ("metal", features.metal),
    ] {
        rows.push(row("feature", name, if on { "built in" } else { "not built in" }.to_owned()));
    }
    for device in &survey.devices {
        let memory = match (device.memory, device.memory_free) {
            (Some(total), Some(free)) => Some(format!("{} of {} free", gib(free), gib(total))),
            (Some(total), None) => Some(gib(total)),
            _ => None,
        };
        let dtypes = (!device.dtypes.is_empty()).then(|| device.dtypes.join(" "));
        let known = [
            Some(if device.usable { "usable" } else { "not usable" }.to_owned()),
            device.name.clone(),
            device.driver.clone(),
            memory,
            dtypes,
            device.note.clone(),
        ];
        let state = known.into_iter().flatten().collect::<Vec<_>>().join("; ");
        rows.push(row("device", &device.device, state));
    }
    let other = &survey.cuda_program;
    let path = other.path.as_ref().filter(|_| other.usable).map(|path| path.display().to_string());
    let state =
        [Some(if other.usable { "usable" } else { "not usable" }.to_owned()), path, other.note.clone()];
    rows.push(row("program", NAME, state.into_iter().flatten().collect::<Vec<_>>().join("; ")));
    let cpu = &survey.cpu;
    rows.push(row("cpu", "threads", cpu.threads.to_string()));
    rows.push(row(
        "cpu",
        "has",
        if cpu.detected.is_empty() { "–".to_owned() } else { cpu.detected.join(", ") },
    ));
    rows.push(row("cpu", "convolutions, linear maps", cpu.convolution.to_owned()));
    rows.push(row("cpu", "other matrix products", cpu.matrix_product.to_owned()));
    if let Some(ffmpeg) = &survey.ffmpeg {
        rows.push(row("ffmpeg", "version", ffmpeg.version.clone()));
        rows.push(row("ffmpeg", "licence", ffmpeg.licence.clone()));
        rows.push(row("ffmpeg", "libraries", ffmpeg.libraries.join(", ")));
        rows.push(row("ffmpeg", "configuration", ffmpeg.configuration.clone()));
    }
    for folder in &survey.folders {
        let size =
            folder.bytes.map_or("not there".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        rows.push(row("folder", folder.what, format!("{}; {size}", folder.path.display())));
    }
    rows
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1u32 << 30))
}
