//! Every field of the Open Data Product Standard v0.9 and v1.0.

use crate::shape::{Field, Kind, Shape, may, must};

const TAGS: Field = may("tags", Kind::Texts);
const DEFINITIONS: Field = may("authoritativeDefinitions", Kind::List(&DEFINITION));
const CUSTOM: Field = may("customProperties", Kind::Custom(&CUSTOM_PROPERTY, &[]));
/// Most things of the standard end with these.
const EXTRAS: &[Field] = &[TAGS, CUSTOM, DEFINITIONS];

pub(super) static PRODUCT: Shape = Shape {
    what: "a data product",
    fields: &[
        EXTRAS,
        &[
            must("apiVersion", Kind::Text),
            must("kind", Kind::Text),
            must("id", Kind::Text),
            may("name", Kind::Text),
            may("version", Kind::Text),
            must("status", Kind::Text),
            may("domain", Kind::Text),
            may("tenant", Kind::Text),
            may("description", Kind::Object(&DESCRIPTION)),
            may("inputPorts", Kind::List(&INPUT_PORT)),
            may("outputPorts", Kind::List(&OUTPUT_PORT)),
            may("managementPorts", Kind::List(&MANAGEMENT_PORT)),
            may("support", Kind::List(&SUPPORT)),
            may("team", Kind::ObjectOrList(&TEAM, &MEMBER)),
            may("productCreatedTs", Kind::Text),
        ],
    ],
};

static CUSTOM_PROPERTY: Shape = Shape {
    what: "a custom property",
    fields: &[&[must("property", Kind::Text), must("value", Kind::Any), may("description", Kind::Text)]],
};

static DEFINITION: Shape = Shape {
    what: "an authoritative definition",
    fields: &[&[must("type", Kind::Text), must("url", Kind::Text), may("description", Kind::Text)]],
};

static DESCRIPTION: Shape = Shape {
    what: "a description",
    fields: &[&[
        may("purpose", Kind::Text),
        may("limitations", Kind::Text),
        may("usage", Kind::Text),
        DEFINITIONS,
        CUSTOM,
    ]],
};

static INPUT_PORT: Shape = Shape {
    what: "an input port",
    fields: &[EXTRAS, &[must("name", Kind::Text), must("version", Kind::Text), must("contractId", Kind::Text)]],
};

static OUTPUT_PORT: Shape = Shape {
    what: "an output port",
    fields: &[
        EXTRAS,
        &[
            must("name", Kind::Text),
            may("description", Kind::Text),
            may("type", Kind::Text),
            must("version", Kind::Text),
            may("contractId", Kind::Text),
            may("sbom", Kind::List(&SBOM)),
            may("inputContracts", Kind::List(&INPUT_CONTRACT)),
        ],
    ],
};

static SBOM: Shape =
    Shape { what: "a bill of materials", fields: &[&[may("type", Kind::Text), must("url", Kind::Text)]] };

static INPUT_CONTRACT: Shape =
    Shape { what: "an input contract", fields: &[&[must("id", Kind::Text), must("version", Kind::Text)]] };

static MANAGEMENT_PORT: Shape = Shape {
    what: "a management port",
    fields: &[
        EXTRAS,
        &[
            must("name", Kind::Text),
            must("content", Kind::Text),
            may("type", Kind::Text),
            may("url", Kind::Text),
            may("channel", Kind::Text),
            may("description", Kind::Text),
        ],
    ],
};

static SUPPORT: Shape = Shape {
    what: "a support channel",
    fields: &[
        EXTRAS,
        &[
            must("channel", Kind::Text),
            must("url", Kind::Text),
            may("description", Kind::Text),
            may("tool", Kind::Text),
            may("scope", Kind::Text),
            may("invitationUrl", Kind::Text),
        ],
    ],
};

static MEMBER: Shape = Shape {
    what: "a team member",
    fields: &[
        EXTRAS,
        &[
            must("username", Kind::Text),
            may("name", Kind::Text),
            may("description", Kind::Text),
            may("role", Kind::Text),
            may("dateIn", Kind::Text),
            may("dateOut", Kind::Text),
            may("replacedByUsername", Kind::Text),
        ],
    ],
};

static TEAM: Shape = Shape {
    what: "a team",
    fields: &[EXTRAS, &[may("name", Kind::Text), may("description", Kind::Text), may("members", Kind::List(&MEMBER))]],
};
