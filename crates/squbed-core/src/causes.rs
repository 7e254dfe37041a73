//! Errors in words.

use std::error::Error;

/// What an error and its causes say, the outermost first and each thing once: a cause whose words stand in a layer
/// above it already, as some libraries repeat theirs, is passed over.
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut layers = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let own = error.to_string();
        if !layers.iter().any(|layer| layer.contains(&own)) {
            layers.push(own);
        }
        cause = error.source();
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Layer {
        words: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn every_layer_is_told_once() {
        let chain = ["no model", "the hub failed: error 503", "error 503", "connection refused"]
            .into_iter()
            .rev()
            .fold(None, |source, words| Some(Box::new(Layer { words, source })));
        assert_eq!(causes(&*chain.unwrap()), ["no model", "the hub failed: error 503", "connection refused"]);
    }
}
