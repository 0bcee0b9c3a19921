//! "Did you mean": the nearest of the known words, if it is near.

/// The known word closest to what was written, if a typing mistake explains the difference.
pub(crate) fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + written.chars().count() / 3;
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&word.to_lowercase(), &written.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, word)| word)
}

/// [`closest`] as the text of a hint.
pub(crate) fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(written, known).map(|word| format!("did you mean `{word}`?"))
}
