"""Writes mesh directories: the documents a user would write by hand, from arrow schemas."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import yaml

PERMIT_ALL = """
@id("everyone-uses-everything")
permit (principal, action in Action::"access", resource);

@id("everyone-sees-everything")
permit (principal, action == Action::"discover", resource);
"""


@dataclass
class Product:
    """One product: its tables' schemas and the one server they are on."""

    domain: str
    name: str
    tables: dict[str, pa.Schema]
    server: dict
    api_version: str = "v3.1.0"
    policies: str | None = None
    properties: dict = field(default_factory=dict)


def write(
    directory: Path,
    products: list[Product],
    policy: str = PERMIT_ALL,
    attributes: dict | None = None,
    storage: dict | None = None,
) -> Path:
    """A whole mesh; unless `storage` says more, the data of a domain lies in `data/<domain>/`."""
    domains = sorted({product.domain for product in products})
    storage = {name: [{"prefix": f"./data/{name}/"}] for name in domains} | (storage or {})
    mesh = {
        "name": "clients",
        "domains": {
            name: {"owners": [f"{name}-owners"], "storage": storage[name]} for name in domains
        },
    }
    if attributes:
        mesh["attributes"] = attributes
    document(directory / "mesh.yaml", mesh)
    text(directory / "governance" / "policies" / "all.cedar", policy)
    for name in domains:
        (directory / "data" / name).mkdir(parents=True, exist_ok=True)
        document(directory / "domains" / name / "domain.yaml", {"description": f"The domain {name}"})
    for product in products:
        write_product(directory, product)
    return directory


def write_product(directory: Path, product: Product) -> None:
    address = f"{product.domain}.{product.name}"
    contract_id = identity(f"{address}:contract")
    home = directory / "domains" / product.domain / "products" / product.name
    document(home / "product.odps.yaml", {
        "apiVersion": "v1.0.0",
        "kind": "DataProduct",
        "id": identity(address),
        "name": f"The product {address}",
        "version": "1.0.0",
        "status": "active",
        "description": {"purpose": "Read by the client matrix"},
        "outputPorts": [{"name": "tables", "version": "1.0.0", "contractId": contract_id}],
    })
    document(home / "tables.odcs.yaml", {
        "apiVersion": product.api_version,
        "kind": "DataContract",
        "id": contract_id,
        "name": f"The tables of {address}",
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "lake"} | product.server],
        "schema": [
            {
                "name": table,
                "physicalName": table,
                "physicalType": "table",
                "logicalType": "object",
                "properties": [column(field, product.properties.get(field.name, {})) for field in schema],
            }
            for table, schema in product.tables.items()
        ],
    })
    if product.policies:
        text(home / "policies" / "product.cedar", product.policies)


def column(field: pa.Field, more: dict) -> dict:
    return {"name": field.name} | described(field.type) | {"required": not field.nullable} | more


def described(data_type: pa.DataType) -> dict:
    """The type of a property, with the properties inside it."""
    of = lambda field: {"name": field.name} | described(field.type)
    if pa.types.is_list(data_type):
        return {"logicalType": "array", "items": described(data_type.value_type)}
    if pa.types.is_struct(data_type):
        return {"logicalType": "object", "properties": [of(data_type.field(at)) for at in range(data_type.num_fields)]}
    if pa.types.is_map(data_type):
        parts = {"key": described(data_type.key_type), "value": described(data_type.item_type)}
        return {"logicalType": "map", "map": parts}
    logical = logical_type(data_type)
    return ({"logicalType": logical} if logical else {}) | {"physicalType": physical_type(data_type)}


def physical_type(data_type: pa.DataType) -> str:
    if pa.types.is_decimal(data_type):
        return f"decimal({data_type.precision},{data_type.scale})"
    if pa.types.is_timestamp(data_type):
        return "timestamp with time zone" if data_type.tz else "timestamp"
    names = {
        pa.bool_(): "boolean", pa.int8(): "tinyint", pa.int16(): "smallint", pa.int32(): "int", pa.int64(): "bigint",
        pa.float32(): "real", pa.float64(): "double", pa.date32(): "date", pa.time64("us"): "time", pa.binary(): "binary",
        pa.binary(4): "binary",
    }
    return names.get(data_type, "string")


def logical_type(data_type: pa.DataType) -> str | None:
    kinds = [
        (pa.types.is_integer, "integer"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_time, "time"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_floating, "number"),
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
        (pa.types.is_binary, None),
        (pa.types.is_fixed_size_binary, None),
    ]
    return next(name for matches, name in kinds if matches(data_type))


def identity(name: str) -> str:
    """The same id for the same name, so that twin meshes are equal."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:clients:{name}"))


def document(file: Path, content: dict) -> None:
    text(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def text(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
