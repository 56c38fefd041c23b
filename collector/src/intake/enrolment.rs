//! Enrolment: listens apart from the stream, for those who have no certificate yet.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::wire::v1;

use super::connection::Shown;
use super::listen::Accepted;
use super::{Enrol, Registry};

/// Serves hosts that enrol.
pub(super) async fn serve(
    accepted: Accepted,
    registry: Arc<dyn Registry>,
    stop: Stop,
) -> anyhow::Result<()> {
    let service = v1::enrolment_server::EnrolmentServer::new(Desk(registry));
    Server::builder()
        .timeout(Duration::from_secs(10))
        .max_concurrent_streams(1)
        .max_connection_age(Duration::from_secs(30))
        .max_connection_age_grace(Duration::from_secs(10))
        .add_service(service.max_decoding_message_size(16 << 10))
        .serve_with_incoming_shutdown(accepted, stop.cancelled_owned())
        .await
        .context("cannot serve enrolment")
}

struct Desk(Arc<dyn Registry>);

#[tonic::async_trait]
impl v1::enrolment_server::Enrolment for Desk {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        let from = request
            .extensions()
            .get::<Shown>()
            .and_then(|shown| shown.from);
        let v1::EnrolRequest {
            name,
            secret,
            request,
        } = request.into_inner();
        let ask = Enrol {
            name,
            secret,
            request,
            from,
        };
        match self.0.enrol(ask, clock::now()).await {
            Ok(Ok(given)) => Ok(Response::new(given.into())),
            Ok(Err(refusal)) => Err(Status::permission_denied(refusal.to_string())),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "cannot enrol a host");
                Err(Status::unavailable(
                    "the collector has a problem of its own; try again",
                ))
            }
        }
    }
}
