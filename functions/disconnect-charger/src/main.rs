//! `disconnect-charger`: the `$disconnect` route. Forgets the connection, unless the charger has
//! opened a newer one. One write. API Gateway calls it when it can: nothing depends on it.

use lambda_runtime::Error;
use runtime::{Function, Invocation, Reply};
use store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::start("disconnect-charger").await?;
    let store = Store::from_environment(&function.aws)?;
    let handler = async |caller: runtime::Caller, _, invocation: &Invocation| {
        let (id, connection) = (&caller.charge_point_id, &caller.connection_id);
        store.disconnect(id, connection, invocation.now()).await?;
        Ok(Reply::empty())
    };
    function.serve_connection(handler).await
}
