//! `ocpp-data-transfer`: answers DataTransfer (OCPP 1.6, 4.3). No vendor extension is spoken yet,
//! and the answer says so. No request to anything.

use lambda_runtime::Error;
use ocpp::{DataTransferRequest, DataTransferResponse, DataTransferStatus};
use runtime::{Function, Invocation, OcppCall};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let handler = async |call: OcppCall<DataTransferRequest>, invocation: &Invocation| {
        invocation.field("vendor_id", call.request.vendor_id);
        Ok(DataTransferResponse { status: DataTransferStatus::UnknownVendorId, data: None })
    };
    Function::start("ocpp-data-transfer").await?.serve_ocpp(handler).await
}
