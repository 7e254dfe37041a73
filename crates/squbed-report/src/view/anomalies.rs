//! The videos that are most unlike the others of their latent prompt.

use serde::Serialize;

use super::{
    Number,
    tasks::{Picture, picture},
};
use crate::{Error, ReportData};

#[derive(Serialize)]
pub(super) struct Anomaly<'a> {
    task: &'a str,
    /// Of the task's card; empty where it has none.
    anchor: &'a str,
    prompt: &'a str,
    video: &'a str,
    videos: usize,
    surprise: Number,
    log_density: Number,
    frame: Option<Picture<'a>>,
}

pub(super) fn anomalies<'a>(data: &'a ReportData, anchors: &'a [String]) -> Result<Vec<Anomaly<'a>>, Error> {
    let anchor = |id: &str| {
        let card = data.tasks.iter().position(|task| task.id == id);
        card.map_or("", |at| anchors[at].as_str())
    };
    data.anomalies
        .iter()
        .map(|of| {
            Ok(Anomaly {
                task: &of.task,
                anchor: anchor(&of.task),
                prompt: &of.prompt,
                video: &of.video,
                videos: of.videos,
                surprise: Number::fixed(of.surprise, 1),
                log_density: Number::fixed(of.log_density, 1),
                frame: of.frame.as_ref().map(|image| picture(image, &of.task)).transpose()?,
            })
        })
        .collect()
}
