//! What the demo says once it serves: who there is, how to connect, what to try.

use super::home::Home;
use super::users::{PEOPLE, Ready};
use crate::output;
use crate::serve::Served;
use crate::trouble::Outcome;

/// What to try, each with what it shows.
pub(super) const QUERIES: [(&str, &str); 3] = [
    (
        "Rows and columns differ by user: filtered, masked, or not there",
        "SELECT * EXCEPT (c_comment) FROM crm.customers.customer ORDER BY c_custkey LIMIT 5",
    ),
    (
        "A Delta product of one domain joined with an Iceberg product of another",
        "SELECT c_mktsegment, count(*) AS orders, sum(o_totalprice) AS revenue \
         FROM sales.orders.orders JOIN crm.customers.customer ON o_custkey = c_custkey \
         GROUP BY c_mktsegment ORDER BY revenue DESC",
    ),
    (
        "Three domains in one statement",
        "SELECT n_name AS nation, p_brand AS brand, sum(l_quantity) AS sold \
         FROM sales.orders.lineitem JOIN supply.parts.part ON p_partkey = l_partkey \
         JOIN sales.orders.orders ON o_orderkey = l_orderkey JOIN crm.customers.customer ON c_custkey = o_custkey \
         JOIN crm.customers.nation ON n_nationkey = c_nationkey \
         GROUP BY n_name, p_brand ORDER BY sold DESC LIMIT 5",
    ),
];

/// Prints it.
pub(super) fn print(home: &Home, people: &[Ready], served: &Served) -> Outcome {
    output::text(text(home, people, served))
}

fn text(home: &Home, people: &[Ready], served: &Served) -> String {
    let url = served.flight_url();
    let mut text = format!(
        "\nMeshgate serves the demo mesh in {}\n\n  Flight SQL  {url}\n  HTTP        http://{}\n\nUsers:\n",
        home.mesh().display(),
        served.http
    );
    for person in &PEOPLE {
        text.push_str(&format!("  {:7} {}\n", person.name, person.sees));
    }
    text.push_str("\nBe one of them, in another terminal:\n");
    for ready in people {
        text.push_str(&format!("  export MESHGATE_TOKEN={}    # {}\n", ready.token, ready.name));
    }
    let program = std::env::args_os().next();
    let program = program.as_deref().map_or("meshgate".into(), |name| name.to_string_lossy().into_owned());
    let sql = format!("{program} sql --url {url}");
    text.push_str(&format!("\nConnect:\n  {sql}\n\n  # Python: pip install adbc-driver-flightsql pyarrow\n"));
    text.push_str("  import os\n  from adbc_driver_flightsql import DatabaseOptions, dbapi\n");
    text.push_str(&format!(
        "  connection = dbapi.connect(\"{url}\", db_kwargs={{\n    DatabaseOptions.AUTHORIZATION_HEADER.value: \"Bearer \" + os.environ[\"MESHGATE_TOKEN\"]}})\n"
    ));
    text.push_str("\nTry, as each of the three:\n");
    for (number, (shows, query)) in (1..).zip(QUERIES) {
        text.push_str(&format!("\n  {number}. {shows}\n  {sql} \\\n    \"{query}\"\n"));
    }
    text.push_str(
        "\nThe policies behind it are in mesh/domains/*/policies and mesh/governance; edit one and ask again.\n",
    );
    text.push_str("Ctrl-C ends the demo; the same command starts it again with the same data and tokens.\n\n");
    text
}
