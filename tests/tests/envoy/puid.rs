//! The identifier under which a live model and its shadows answer and log.

use anyhow::Result;
use serde_json::json;
use testbed::client::Request;

use crate::site::{PREDICTIONS, Site, flower, open, predict};

#[tokio::test]
async fn whatever_reaches_a_model_has_an_identifier() -> Result<()> {
    let bypass =
        json!([{"name": "ready", "to": [{"operation": {"paths": ["/seldon/prod/iris/ready"]}}]}]);
    let site = Site::start(open(json!({"bypass": bypass}))?).await?;
    for request in [
        predict(),
        Request::post_json(PREDICTIONS, &flower()),
        Request::get("/seldon/prod/iris/ready"),
        predict().header("Seldon-Puid", "mine"),
        Request::get("/website"),
    ] {
        site.expect(request, 200, "").await?;
    }
    let received = site.live.received();
    assert_eq!(received.len(), 4);
    for request in &received[..3] {
        let made = request.header("x-request-id");
        assert!(made.is_some() && request.header("seldon-puid") == made, "{request:?}");
    }
    assert_eq!(received[3].header("seldon-puid").as_deref(), Some("mine"));
    assert_eq!(site.website.received()[0].header("seldon-puid"), None);
    site.check_healthy().await
}

#[tokio::test]
async fn report_mode_makes_no_identifier() -> Result<()> {
    let site = Site::start(open(json!({"mode": "REPORT"}))?).await?;
    site.expect(Request::post_json(PREDICTIONS, &flower()), 200, "ndarray").await?;
    assert_eq!(site.live.received()[0].header("seldon-puid"), None);
    site.check_healthy().await
}
