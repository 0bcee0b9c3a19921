//! The cookie that leads to a session.

use tonic::metadata::MetadataMap;

use crate::shelf::Id;

const NAME: &str = "meshgate-session";

/// The session that a request's cookies name.
pub(crate) fn read(metadata: &MetadataMap) -> Option<Id> {
    let headers = metadata.get_all("cookie").into_iter().filter_map(|value| value.to_str().ok());
    let mut cookies = headers.flat_map(|header| header.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = cookies.find(|(name, _)| *name == NAME)?;
    let value = value.trim_matches('"');
    (value.len() == 32).then(|| u128::from_str_radix(value, 16).ok().map(u128::to_be_bytes)).flatten()
}

/// The `set-cookie` header for a session.
pub(crate) fn set(id: Id) -> String {
    format!("{NAME}={:032x}; Path=/; HttpOnly", u128::from_be_bytes(id))
}

/// The `set-cookie` header that ends a session.
pub(crate) fn unset() -> String {
    format!("{NAME}=; Path=/; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataMap;

    use super::{NAME, read, set};

    #[test]
    fn reads_what_it_set_among_others() {
        let id = *b"0123456789abcdef";
        let cookie = set(id).split(';').next().expect("a first part").to_owned();
        let with = |header: &str| {
            let mut metadata = MetadataMap::new();
            metadata.append("cookie", header.parse().expect("ASCII"));
            read(&metadata)
        };
        assert_eq!(with(&cookie), Some(id));
        assert_eq!(with(&format!("a=b; {cookie};c=d")), Some(id));
        for bad in ["", "a=b", NAME, &format!("{NAME}="), &format!("{NAME}=xyz"), &format!("{NAME}={}", "g".repeat(32))]
        {
            assert_eq!(with(bad), None, "{bad}");
        }
    }
}
