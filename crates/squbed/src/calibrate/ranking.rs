//! Videos as people rank them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::CalibrateError;

/// A ranking of tasks by people, read from a CSV file.
#[derive(Clone, Debug, PartialEq)]
pub struct HumanRanking {
    /// The file.
    pub path: PathBuf,
    /// Rank by task; 1 is the best.
    pub ranks: BTreeMap<String, f64>,
}

/// Which ranking was used, and what of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankingUsed {
    /// The file.
    pub file: String,
    /// Rows of it.
    pub rows: usize,
    /// Its ids that no accuracy is known of, which Figure 3 leaves out.
    pub unknown_ids: Vec<String>,
    /// The ranks by task.
    #[serde(default)]
    pub ranks: BTreeMap<String, f64>,
}

impl HumanRanking {
    /// Reads a CSV file with the columns `id` and `rank`: one row a task, rank 1 the best; equal ranks are ties.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or lacks a column; a rank that is no finite number; an id twice.
    pub fn read(path: &Path) -> Result<Self, CalibrateError> {
        let unreadable =
            |source: csv::Error| CalibrateError::RankingFile { path: path.to_owned(), source: source.into() };
        let bad = |line, what| CalibrateError::RankingRow { path: path.to_owned(), line, what };
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.clone();
        let find = |name: &str| {
            header.iter().position(|column| column == name).ok_or_else(|| {
                let columns: Vec<&str> = header.iter().collect();
                bad(1, format!("there is no column `{name}`, only: {}", columns.join(", ")))
            })
        };
        let (id, rank) = (find("id")?, find("rank")?);
        let mut ranks = BTreeMap::new();
        for row in reader.records() {
            let row = row.map_err(unreadable)?;
            let line = row.position().map_or(0, csv::Position::line);
            let (id, text) = (row.get(id).unwrap_or_default(), row.get(rank).unwrap_or_default());
            let value = text.parse().ok().filter(|rank: &f64| rank.is_finite());
            let value = value.ok_or_else(|| bad(line, format!("`{text}` is no rank")))?;
            if ranks.insert(id.to_owned(), value).is_some() {
                return Err(bad(line, format!("`{id}` is ranked twice")));
            }
        }
        Ok(Self { path: path.to_owned(), ranks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, f64>, CalibrateError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ranks.csv");
        std::fs::write(&path, text).unwrap();
        Ok(HumanRanking::read(&path)?.ranks)
    }

    #[test]
    fn a_ranking_is_read_with_its_ties_and_faults_are_placed() {
        let ranks = read("rank, id\n1, b\n2.5,a\n2.5,\"c, d\"\n").unwrap();
        assert_eq!((ranks["b"], ranks["a"], ranks["c, d"]), (1.0, 2.5, 2.5));
        for (text, part) in [
            ("id,score\na,1\n", "line 1: there is no column `rank`, only: id, score"),
            ("id,rank\na,1\nb,first\n", "line 3: `first` is no rank"),
            ("id,rank\na,NaN\n", "line 2: `NaN` is no rank"),
            ("id,rank\na,1\nb,2\na,3\n", "line 4: `a` is ranked twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.hint().unwrap().contains("rank 1 is the best"));
        }
        assert!(matches!(read("id,rank\na,1,2\n"), Err(CalibrateError::RankingFile { .. })));
        assert!(
            HumanRanking::read(Path::new("nowhere.csv")).unwrap_err().to_string().contains("nowhere.csv")
        );
    }
}
