//! f64 in JSON: infinities as the strings `"inf"` and `"-inf"`, undefined as `null`.
//!
//! Use as `#[serde(with = "squbed_core::float")]`.

use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes a number, `"inf"`, `"-inf"` or, for NaN, nothing (`null`).
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *value {
        v if v.is_nan() => serializer.serialize_none(),
        f64::INFINITY => serializer.serialize_str("inf"),
        f64::NEG_INFINITY => serializer.serialize_str("-inf"),
        v => serializer.serialize_f64(v),
    }
}

/// Reads what [`serialize`] writes.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Named(String),
        Undefined(()),
    }
    match Number::deserialize(deserializer)? {
        Number::Finite(v) => Ok(v),
        Number::Named(name) if name == "inf" => Ok(f64::INFINITY),
        Number::Named(name) if name == "-inf" => Ok(f64::NEG_INFINITY),
        Number::Named(name) => {
            Err(de::Error::custom(format!("expected a number, \"inf\", \"-inf\" or null, got \"{name}\"")))
        }
        Number::Undefined(()) => Ok(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Row {
        #[serde(with = "super")]
        x: f64,
    }

    #[test]
    fn infinities_survive_json() {
        for (x, text) in [
            (f64::INFINITY, r#"{"x":"inf"}"#),
            (f64::NEG_INFINITY, r#"{"x":"-inf"}"#),
            (0.1, r#"{"x":0.1}"#),
            (f64::NAN, r#"{"x":null}"#),
        ] {
            assert_eq!(serde_json::to_string(&Row { x }).unwrap(), text);
            let back: Row = serde_json::from_str(text).unwrap();
            assert!(back.x == x || (back.x.is_nan() && x.is_nan()));
        }
        assert!(serde_json::from_str::<Row>(r#"{"x":"big"}"#).is_err());
    }
}
