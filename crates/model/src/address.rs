//! Permanent addresses: SQL names and URNs.

use std::fmt;

use crate::Name;

/// `domain.product`: all versions of a product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProductAddress {
    /// The domain's directory name: the SQL catalog.
    pub domain: Name,
    /// The product's directory name.
    pub product: Name,
}

/// One table of one major version of a product.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableAddress {
    /// The product that owns the table.
    pub product: ProductAddress,
    /// The major version of the output port that serves it.
    pub major: u32,
    /// `schema[].name` of the contract.
    pub table: String,
}

/// The permanent name of a product version or of one of its tables.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Urn(String);

impl ProductAddress {
    /// Joins a domain and a product.
    pub fn new(domain: Name, product: Name) -> Self {
        Self { domain, product }
    }

    /// The address of one of its tables.
    pub fn table(&self, major: u32, table: impl Into<String>) -> TableAddress {
        TableAddress { product: self.clone(), major, table: table.into() }
    }

    /// The SQL schema that always means this major version: `product_v<major>`.
    pub fn versioned_schema(&self, major: u32) -> String {
        format!("{}_v{major}", self.product)
    }
}

impl TableAddress {
    /// `domain.product.table`: the id of the table in policies, whatever its version.
    pub fn policy_id(&self) -> String {
        format!("{}.{}", self.product, self.table)
    }

    /// The table's permanent name in a mesh.
    pub fn urn(&self, mesh: &str) -> Urn {
        let ProductAddress { domain, product } = &self.product;
        Urn(format!("urn:meshgate:{mesh}:{domain}:{product}:v{}:{}", self.major, self.table))
    }
}

impl Urn {
    /// The permanent name of a product's major version in a mesh.
    pub fn product(mesh: &str, address: &ProductAddress, major: u32) -> Self {
        Self(format!("urn:meshgate:{mesh}:{}:{}:v{major}", address.domain, address.product))
    }
}

impl fmt::Display for ProductAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.domain, self.product)
    }
}

impl fmt::Display for TableAddress {
    /// The unambiguous SQL address: `domain.product_v<major>.table`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_v{}.{}", self.product, self.major, self.table)
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProductAddress, Urn};
    use crate::Name;

    #[test]
    fn addresses_read_as_documented() {
        let name = |text: &str| Name::parse(text).expect("a valid name");
        let orders = ProductAddress::new(name("sales"), name("orders"));
        let lines = orders.table(2, "lines");
        assert_eq!(lines.to_string(), "sales.orders_v2.lines");
        assert_eq!(lines.policy_id(), "sales.orders.lines");
        assert_eq!(lines.urn("acme").to_string(), "urn:meshgate:acme:sales:orders:v2:lines");
        assert_eq!(Urn::product("acme", &orders, 2).to_string(), "urn:meshgate:acme:sales:orders:v2");
    }
}
