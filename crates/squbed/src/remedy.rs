//! What to do next about errors of the crates below, which know what failed but not how it was asked for.

use std::{error::Error as StdError, io};

use crate::{decode_speed::DecodeSpeedError, error::Error};

/// What to do about an error, wherever among the causes it lies that something can be said of: one of the system, a
/// full disk above all, then those of videos, of the von Mises–Fisher distribution and of statistics.
pub fn remedy(error: &(dyn StdError + 'static)) -> Option<String> {
    let layers = || std::iter::successors(Some(error), |&e| e.source());
    let missing = |e: &(dyn StdError + 'static)| {
        e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
    };
    // What is there under such a name is opened; what is not is meant to be fetched.
    if layers().any(missing) && layers().any(|layer| names_url(&layer.to_string())) {
        return Some("URLs are not opened: download it first, and give the path of the file".to_owned());
    }
    let text = layers().find_map(of_system).or_else(|| layers().find_map(of_layer));
    text.map(str::to_owned)
}

/// Whether a message names an address in the place of a path, whose slashes a path has one of.
fn names_url(message: &str) -> bool {
    let schemes = ["http:/", "https:/", "ftp:/", "s3:/", "gs:/", "hf:/", "file:/"];
    message.contains("://") || schemes.iter().any(|scheme| message.contains(scheme))
}

fn of_layer(layer: &(dyn StdError + 'static)) -> Option<&'static str> {
    // A transparent layer stands for what it holds, which is none of its causes.
    let layer: &(dyn StdError + 'static) = match (layer.downcast_ref(), layer.downcast_ref()) {
        (Some(Error::Video(error) | Error::DecodeSpeed(DecodeSpeedError::Video(error))), _) => error,
        (_, Some(DecodeSpeedError::Video(error))) => error,
        (Some(Error::Vmf(error)), _) => error,
        (Some(Error::Stats(error)), _) => error,
        (Some(Error::World(squbed_sim::Error::Prompt(error))), _) => error,
        _ => layer,
    };
    let layer = match layer.downcast_ref() {
        Some(squbed_sim::Error::Prompt(error)) => error,
        _ => layer,
    };
    let vmf = || layer.downcast_ref().and_then(of_vmf);
    let prompt = || layer.downcast_ref().and_then(of_world);
    layer
        .downcast_ref()
        .and_then(of_video)
        .or_else(vmf)
        .or_else(prompt)
        .or_else(|| layer.downcast_ref().and_then(of_statistics))
}

fn of_system(layer: &(dyn StdError + 'static)) -> Option<&'static str> {
    let system = layer.downcast_ref::<io::Error>().map(io::Error::kind);
    // FFmpeg gives the system's error numbers below zero.
    let number = |e: &squbed_video::LibavError| io::Error::from_raw_os_error(e.code.wrapping_neg()).kind();
    Some(match system.or_else(|| layer.downcast_ref().map(number))? {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "no space is left on that disk; free some or choose a folder on another one, then run the same \
             command again: finished work is kept"
        }
        io::ErrorKind::FileTooLarge => {
            "a file may not become that large there (`ulimit -f` shows the limit); raise it or choose another \
             folder, then run the same command again: finished work is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "it may not be written or read by you; change its permissions or choose another folder"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "choose another name, or move away what stands there"
        }
        io::ErrorKind::NotFound => {
            "check the path; in a list of tasks or an experiment it counts from that file's folder"
        }
        _ => return None,
    })
}

fn of_video(error: &squbed_video::Error) -> Option<&'static str> {
    use squbed_video::Error as E;
    Some(match error {
        E::Corrupt { .. } => {
            "give a video file; if it should be one, see whether a player opens it, and copy or make it again"
        }
        E::Container { .. } | E::NotAFile { .. } => {
            "give the path of a video file, or of a folder of pictures"
        }
        E::Empty { .. } | E::Truncated { .. } | E::Damaged { .. } | E::NoFrames { .. } => {
            "copy or make it again; `squbed probe` says what it holds"
        }
        E::NoVideoStream { .. } => "give a file with pictures in it; sound or subtitles alone have no frames",
        E::Path { .. } => "rename the file",
        E::NoDecoder { .. } => {
            "bring it to another codec, such as H.264, or install an FFmpeg that has the decoder"
        }
        E::FrameOutOfRange { .. } | E::EmptyPlan { .. } => {
            "choose a sampling that the video is long enough for"
        }
        E::Picture { .. } => "give a picture that another program opens, as PNG, JPEG, BMP or WebP",
        E::NoPictures { .. } => "put the frames there as PNG, or give another folder",
        E::MixedSizes { .. } => "bring all pictures of the folder to one size",
        E::Limit { what: "bytes of frames", .. } => "choose fewer frames",
        E::Limit { .. } | E::Timeout { .. } => {
            "where the file is meant to be so, raise the limit: --max-pixels, --max-frames, --max-duration or --max-time of \
             `squbed probe`, `embed`, `estimate`, `score`, `run` and `bench decode`"
        }
        E::Libav { .. } => "see whether a player opens the file; copy or make it again",
        _ => return None,
    })
}

fn of_vmf(error: &squbed_vmf::Error) -> Option<&'static str> {
    use squbed_vmf::Error as E;
    Some(match error {
        E::Dim { .. } => "--dim is the number of numbers of an embedding: give 2 or more, such as 384",
        E::Kappa { .. } => "give --kappa from 0 (uniform) to inf (a point mass)",
        E::Rbar { .. } => {
            "give --rbar from 0 to 1; --one-minus-rbar is 1 minus that, and may be left away unless r̄ is very close \
             to 1"
        }
        E::SamplesNeeded => "use `squbed vmf fit`, or another --estimator",
        E::Empty => "leave the group out, or give it a row",
        E::Ragged { .. } => "give rows of one dimension",
        E::NoDirection { .. } => "mend that row or leave it out: it must be finite and not zero",
        E::MeanWidth { .. } => "give --mean as many numbers as --dim says",
        E::MeanDirection { .. } => "give --mean finite numbers that are not all zero",
        E::Memory { .. } => "draw fewer at a time, with another --seed each",
        E::Estimator { .. } => "name one of them",
        _ => return None,
    })
}

fn of_world(error: &squbed_sim::PromptError) -> Option<&'static str> {
    use squbed_sim::PromptError as E;
    matches!(error, E::UnknownWord { .. } | E::Nothing { .. }).then_some(
        "the closed world takes its own prompts alone, and those by value with `--world value`; for other prompts name a \
         video model with `squbed generate --generator command|server|folder` and a refiner with `squbed refine --refiner \
         llm|server|file`",
    )
}

fn of_statistics(error: &squbed_stats::Error) -> Option<&'static str> {
    use squbed_stats::Error as E;
    Some(match error {
        E::TooFew { .. } => "give more of them: further rows of the file, or more --tasks",
        E::Nan { .. } | E::Infinite { .. } => "mend that value, or take the row out",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_lies_in_a_transparent_layer_or_below_another_is_found() {
        let empty = || squbed_video::Error::Empty { path: PathBuf::from("v.mp4") };
        let compare = Error::DecodeSpeed(empty().into());
        for error in [Error::Video(empty()), compare] {
            assert!(error.hint().is_some_and(|hint| hint.contains("copy or make it again")), "{error}");
        }
        let below = squbed_sim::Error::Video { path: "v.mp4".into(), source: empty() };
        assert!(remedy(&below).is_some_and(|hint| hint.contains("copy or make it again")));
        let unknown = squbed_sim::parse("a red cat").unwrap_err();
        assert!(remedy(&unknown).is_some_and(|hint| hint.contains("--generator command")));
        for error in [
            Error::World(unknown.clone().into()),
            Error::Refine { task: "t".to_owned(), source: unknown.into() },
        ] {
            assert!(error.hint().is_some_and(|hint| hint.contains("--generator command")), "{error}");
        }
        assert!(Error::Vmf(squbed_vmf::Error::Dim { dim: 1 }).hint().unwrap().contains("2 or more"));
    }
}
