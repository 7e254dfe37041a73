//! Preprocessings whose names stand in caches.

use serde::{Deserialize, Serialize};

use super::{CropRule, Filter, Input};

/// `(x − mean) / std` in red, green and blue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalise {
    /// What is taken away.
    pub mean: [f64; 3],
    /// What it is divided by.
    pub std: [f64; 3],
}

impl From<Filter> for squbed_frame::Filter {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bilinear => Self::Bilinear,
            Filter::BilinearNoAntialias => Self::BilinearNoAntialias,
            Filter::Bicubic => Self::Bicubic,
        }
    }
}

impl From<CropRule> for squbed_frame::CropRule {
    fn from(rule: CropRule) -> Self {
        match rule {
            CropRule::Floor => Self::Floor,
            CropRule::RoundHalfEven => Self::RoundHalfEven,
        }
    }
}

impl Input {
    /// These names stand with embeddings in caches, so that their steps may never change.
    pub(super) fn is_as_known(&self, preprocessing: &str) -> bool {
        let Self::Video { shorter_side, square, filter, crop, crop_rule, scale, offset, normalise, .. } =
            self
        else {
            return true;
        };
        let resize = (*shorter_side, *square, *filter);
        let scale = (*scale as f32, *offset as f32);
        let byte = (1.0 / 255.0) as f32;
        match preprocessing {
            "i3d/1" => {
                resize == (256, false, Filter::Bilinear)
                    && (*crop, *crop_rule) == (224, CropRule::Floor)
                    && scale == ((2.0 / 255.0) as f32, -1.0)
                    && normalise.is_none()
            }
            "s3d-milnce/1" => {
                resize == (224, false, Filter::Bicubic)
                    && (*crop, *crop_rule) == (224, CropRule::Floor)
                    && scale == (byte, 0.0)
                    && normalise.is_none()
            }
            "s3d-kinetics/1" => {
                resize == (256, true, Filter::BilinearNoAntialias)
                    && (*crop, *crop_rule) == (224, CropRule::RoundHalfEven)
                    && scale == (byte, 0.0)
                    && normalise.as_ref().is_some_and(|n| {
                        n.mean == [0.43216, 0.394666, 0.37645] && n.std == [0.22803, 0.22145, 0.216989]
                    })
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Manifest, ManifestError};

    #[test]
    fn the_steps_behind_a_name_cannot_change() {
        let text =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/s3d-kinetics-400/model.toml"));
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(Manifest::parse(&toml::to_string(&manifest).unwrap()).unwrap(), manifest);
        for (from, to) in [
            ("square = true", ""),
            ("0.394666", "0.39"),
            ("\"bilinear-no-antialias\"", "\"bilinear\""),
            ("crop = 224", "crop = 192"),
        ] {
            assert!(text.contains(from), "{from}");
            let changed = text.replacen(from, to, 1);
            assert!(matches!(Manifest::parse(&changed), Err(ManifestError::Preprocessing { .. })), "{from}");
            assert!(Manifest::parse(&changed.replace("s3d-kinetics/1", "mine/1")).is_ok(), "{from}");
        }
        let error = Manifest::parse(&text.replace("0.216989]", "0.0]")).unwrap_err();
        assert!(error.to_string().contains("deviations above 0"), "{error}");
    }
}
