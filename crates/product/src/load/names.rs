//! What directories are called, and what they may not be called.

use std::path::Path;

use meshgate_model::{Name, Scope, Severity};

use super::files::Reader;
use crate::release::Domain;

/// Schemas that exist in every domain.
const RESERVED_PRODUCTS: [&str; 1] = ["information_schema"];

/// The name a directory has, or for one that cannot be a name the nearest that can and that no other has: what is wrong
/// with it is no fault of its neighbour.
pub(super) fn named(entry: &str, all: &[String]) -> (Name, bool) {
    if let Ok(name) = Name::parse(entry) {
        return (name, true);
    }
    let plain: String = entry
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        // Room for a letter before and a number behind.
        .take(Name::LEN_MAX - 16)
        .collect();
    let plain = if plain.starts_with(|c: char| c.is_ascii_lowercase()) { plain } else { format!("x{plain}") };
    let numbered = (2..).map(|number| format!("{plain}_{number}"));
    let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !all.contains(name));
    let name = Name::parse(&free.unwrap_or(plain));
    (name.expect("a letter and then letters, digits and underscores are a name"), false)
}

/// `orders_v2` means the second version of `orders`; a product of that name would hide it.
pub(super) fn check_addresses(reader: &mut Reader<'_>, domain: &Domain) {
    let parent = Path::new("domains").join(domain.name.as_str()).join("products");
    for (name, product) in &domain.products {
        let scope = Scope::Product(product.address.clone());
        let place = parent.join(name.as_str());
        let versioned = name.as_str().rsplit_once("_v").filter(|(base, digits)| {
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) && domain.products.contains_key(*base)
        });
        if let Some((base, number)) = versioned {
            let message = format!("`{name}` is also the address of version {number} of the product `{base}`");
            reader
                .say(Severity::Error, &scope, &place, "reserved-name", message)
                .hint("rename the product's directory");
        }
        if RESERVED_PRODUCTS.contains(&name.as_str()) {
            let message = format!("`{name}` is a schema of the gateway itself");
            reader
                .say(Severity::Error, &scope, &place, "reserved-name", message)
                .hint("rename the product's directory");
        }
    }
}
