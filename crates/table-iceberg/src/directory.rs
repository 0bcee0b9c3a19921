//! Finding the newest metadata file of a table directory.

use futures::TryStreamExt;
use meshgate_table::{Error, Located};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

const SUFFIXES: [&str; 3] = [".metadata.json", ".gz.metadata.json", ".metadata.json.gz"];

/// The newest metadata file: what `version-hint.text` names, or else the one with the highest number.
pub(crate) async fn newest_metadata(root: &Located) -> Result<Path, Error> {
    let directory = root.path.clone().join("metadata");
    if let Some(path) = hinted(&*root.store, &directory).await? {
        return Ok(path);
    }
    let mut newest: Option<(u64, chrono::DateTime<chrono::Utc>, Path)> = None;
    let mut files = root.store.list(Some(&directory));
    while let Some(file) = files.try_next().await? {
        let Some(number) = file.location.filename().and_then(number) else { continue };
        if file.location.parts().count() != directory.parts().count() + 1 {
            continue;
        }
        let candidate = (number, file.last_modified, file.location);
        if newest.as_ref().is_none_or(|known| *known < candidate) {
            newest = Some(candidate);
        }
    }
    newest.map(|(_, _, path)| path).ok_or_else(|| Error::NotFound { format: "Iceberg", place: root.url.clone() })
}

async fn hinted(store: &dyn ObjectStore, directory: &Path) -> Result<Option<Path>, Error> {
    let bytes = match store.get(&directory.clone().join("version-hint.text")).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim();
    // SECURITY: one plain file name; anything else is not a hint.
    if text.is_empty() || text.contains(['/', '\\']) || text.starts_with('.') {
        return Ok(None);
    }
    let names: Vec<String> = match text.parse::<u64>() {
        Ok(number) => {
            // A writer makes the file before the hint: look for later ones.
            let mut found = None;
            for next in number..=u64::MAX {
                match existing(store, directory, &SUFFIXES.map(|suffix| format!("v{next}{suffix}"))).await? {
                    Some(path) => found = Some(path),
                    None => return Ok(found),
                }
            }
            return Ok(found);
        }
        Err(_) if text.ends_with(".metadata.json") => vec![text.to_owned()],
        Err(_) => SUFFIXES.iter().map(|suffix| format!("{text}{suffix}")).collect(),
    };
    existing(store, directory, &names).await
}

async fn existing(store: &dyn ObjectStore, directory: &Path, names: &[String]) -> Result<Option<Path>, Error> {
    for name in names {
        let path = directory.clone().join(name.as_str());
        match store.head(&path).await {
            Ok(_) => return Ok(Some(path)),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// The number of `v12.metadata.json` and `00012-<uuid>.metadata.json`.
fn number(name: &str) -> Option<u64> {
    let stem = SUFFIXES.iter().rev().find_map(|suffix| name.strip_suffix(suffix))?;
    let digits = match stem.strip_prefix('v') {
        Some(digits) => digits,
        None => stem.split_once('-')?.0,
    };
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn reads_numbers() {
        for (name, expected) in [
            ("v12.metadata.json", Some(12)),
            ("v3.gz.metadata.json", Some(3)),
            ("00007-8a2d.metadata.json", Some(7)),
            ("00007-8a2d.gz.metadata.json", Some(7)),
            ("snap-123.avro", None),
            ("version-hint.text", None),
            ("vx.metadata.json", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }
}
