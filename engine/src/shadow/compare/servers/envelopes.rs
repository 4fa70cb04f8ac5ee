//! What names an answer and not its prediction.

use super::*;

#[test]
fn what_differs_by_nature_does_not_count() {
    let mlserver = |id: &str, name: &str| {
        format!(
            r#"{{"model_name":"{name}","model_version":"v1","id":"{id}","parameters":{{}},"outputs":[{{"name":"predict","shape":[1,1],"datatype":"INT64","parameters":{{"content_type":"np"}},"data":[1]}}]}}"#
        )
    };
    let chat = |id: &str, created: u32, text: &str| {
        format!(
            r#"{{"id":"{id}","object":"chat.completion","created":{created},"model":"{id}.gguf","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}}}}],"usage":{{"total_tokens":{created}}}}}"#
        )
    };
    let completion = |text: &str, slot: u32, predicted: u32, took: f64| {
        format!(
            r#"{{"index":0,"content":"{text}","tokens":[],"id_slot":{slot},"stop":true,"model":"{slot}.gguf","tokens_predicted":{predicted},"tokens_evaluated":5,"generation_settings":{{"seed":4294967295}},"prompt":"x","timings":{{"prompt_n":5,"prompt_ms":{took}}}}}"#
        )
    };
    let compare = Rules { volatile: None, ..plain() };
    for (live, shadow, expected, all) in [
        (mlserver("feefa652", "iris"), mlserver("833fa7e0", "iris-v2"), "", "value at /id; value at /model_name"),
        (
            r#"{"model_name":"cases","model_version":"1","outputs":[]}"#.into(),
            r#"{"model_name":"cases","model_version":"2","id":"a","outputs":[]}"#.into(),
            "",
            "extra at /id; value at /model_version",
        ),
        (
            r#"{"data":{"names":[],"ndarray":["a"]},"meta":{"requestPath":{"iris":"seldonio/iris:1.0"},"metrics":[{"value":1}]}}"#.into(),
            r#"{"data":{"names":[],"ndarray":["a"]},"meta":{"requestPath":{"iris":"seldonio/iris:1.1"}}}"#.into(),
            "",
            "missing at /meta/metrics; value at /meta/requestPath/iris",
        ),
        (r#"{"strData":"a","meta":{"tags":{"version":1}}}"#.into(), r#"{"strData":"a"}"#.into(), "", "missing at /meta"),
        (
            chat("a", 1_795_795_088, "hello"),
            chat("b", 1_795_795_089, "hello"),
            "",
            "value at /created by 1; value at /id; value at /model; value at /usage/total_tokens by 1",
        ),
        (chat("a", 1, "hello"), chat("b", 1, "bye"), "value at /choices/0/message/content",
         "value at /choices/0/message/content; value at /id; value at /model"),
        (
            r#"{"object":"list","data":[{"embedding":[0.5]}],"model":"a","usage":{"total_tokens":1}}"#.into(),
            r#"{"object":"list","data":[{"embedding":[0.5]}],"model":"b","usage":{"total_tokens":2}}"#.into(),
            "",
            "value at /model; value at /usage/total_tokens by 1",
        ),
        (
            r#"{"id":"a","model":"m","results":[{"index":0,"relevance_score":0.5}]}"#.into(),
            r#"{"id":"b","model":"m","results":[{"index":0,"relevance_score":0.5}]}"#.into(),
            "",
            "value at /id",
        ),
        (
            r#"{"id":"a","object":"response","created_at":1,"model":"m","output":[{"id":"x","type":"function_call","call_id":"c1","name":"f","arguments":"{}"}]}"#.into(),
            r#"{"id":"b","object":"response","created_at":2,"model":"n","output":[{"id":"y","type":"function_call","call_id":"c2","name":"f","arguments":"{}"}]}"#.into(),
            "",
            "value at /created_at by 1; value at /id; value at /model; value at /output/0/call_id; value at /output/0/id",
        ),
        (
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}"#.into(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"tool_calls":[{"id":"y","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}"#.into(),
            "value at /choices/0/message/tool_calls/0/function/name",
            "value at /choices/0/message/tool_calls/0/function/name; value at /choices/0/message/tool_calls/0/id",
        ),
        (
            r#"{"id":"a","object":"list","created":1,"model":"m","data":[{"index":0,"label":"cat","probs":[0.9,0.1],"num_classes":2}],"usage":{"total_tokens":1}}"#.into(),
            r#"{"id":"b","object":"list","created":2,"model":"n","data":[{"index":0,"label":"dog","probs":[0.1,0.9],"num_classes":2}],"usage":{"total_tokens":1}}"#.into(),
            "class at /data/0/label; class at /data/0/probs/0 by 0.8",
            "value at /created by 1; class at /data/0/label; class at /data/0/probs/0 by 0.8; value at /id; value at /model",
        ),
        (
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"a"}}],"timings":{"prompt_ms":1.5}}"#.into(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"a"}}],"timings":{"prompt_ms":2.5}}"#.into(),
            "",
            "value at /timings/prompt_ms by 1",
        ),
        // A spoken answer has an id, and is kept for a while.
        (
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"audio_1","expires_at":1,"data":"AAAA","transcript":"hi"}}}]}"#.into(),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"audio_2","expires_at":2,"data":"AAAA","transcript":"bye"}}}]}"#.into(),
            "value at /choices/0/message/audio/transcript",
            "value at /choices/0/message/audio/expires_at by 1; value at /choices/0/message/audio/id; value at /choices/0/message/audio/transcript",
        ),
        (
            r#"{"id":"sku-1","choices":[{"p":0.9}]}"#.into(),
            r#"{"id":"sku-2","choices":[{"p":0.9}]}"#.into(),
            "value at /id",
            "value at /id",
        ),
        // Cohere's rerank, OpenAI's moderations, Anthropic's messages.
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"1"},"billed_units":{"search_units":1}}}"#.into(),
            r#"{"id":"b","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}"#.into(),
            "",
            "value at /id; value at /meta/api_version/version; value at /meta/billed_units/search_units by 1",
        ),
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}"#.into(),
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.6}],"meta":{"billed_units":{"search_units":1}}}"#.into(),
            "score at /results/0/relevance_score by 0.1",
            "score at /results/0/relevance_score by 0.1",
        ),
        (
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"country":"fr"}}"#.into(),
            r#"{"id":"a","results":[{"index":0,"relevance_score":0.5}],"meta":{"country":"de"}}"#.into(),
            "value at /meta/country",
            "value at /meta/country",
        ),
        (
            r#"{"id":"a","answer":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{}}}"#.into(),
            r#"{"id":"b","answer":"x","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{}}}"#.into(),
            "value at /id",
            "value at /id",
        ),
        (
            r#"{"id":"a","model":"m","object":"list","results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":1}}"#.into(),
            r#"{"id":"b","model":"n","object":"list","results":[{"index":0,"relevance_score":0.5}],"usage":{"total_tokens":1}}"#.into(),
            "",
            "value at /id; value at /model",
        ),
        (
            r#"{"id":"modr-1","model":"a","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9,"violence":0.1}}]}"#.into(),
            r#"{"id":"modr-2","model":"b","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9,"violence":0.1}}]}"#.into(),
            "",
            "value at /id; value at /model",
        ),
        (
            r#"{"id":"modr-1","model":"a","results":[{"flagged":true,"categories":{"hate":true},"category_scores":{"hate":0.9}}]}"#.into(),
            r#"{"id":"modr-2","model":"a","results":[{"flagged":false,"categories":{"hate":true},"category_scores":{"hate":0.8}}]}"#.into(),
            "score at /results/0/category_scores/hate by 0.1; class at /results/0/flagged",
            "value at /id; score at /results/0/category_scores/hate by 0.1; class at /results/0/flagged",
        ),
        (
            r#"{"id":"a","model":"m","results":[{"flagged":true}]}"#.into(),
            r#"{"id":"b","model":"m","results":[{"flagged":true}]}"#.into(),
            "value at /id",
            "value at /id",
        ),
        (
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"thinking","thinking":"hm","signature":"s1"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"id":1}}],"stop_reason":"tool_use","usage":{"output_tokens":1}}"#.into(),
            r#"{"id":"msg_2","type":"message","role":"assistant","model":"b","content":[{"type":"thinking","thinking":"hm","signature":"s2"},{"type":"tool_use","id":"toolu_2","name":"f","input":{"id":1}}],"stop_reason":"tool_use","usage":{"output_tokens":2}}"#.into(),
            "",
            "value at /content/0/signature; value at /content/1/id; value at /id; value at /model; value at /usage/output_tokens by 1",
        ),
        (
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"tool_use","id":"t","name":"f","input":{"id":"x"}}],"stop_reason":"tool_use"}"#.into(),
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"a","content":[{"type":"tool_use","id":"t","name":"g","input":{"id":"y"}}],"stop_reason":"end_turn"}"#.into(),
            "value at /content/0/input/id; value at /content/0/name; value at /stop_reason",
            "value at /content/0/input/id; value at /content/0/name; value at /stop_reason",
        ),
        (
            r#"{"id":"a","type":"message","role":"user","model":"m","content":[],"stop_reason":null}"#.into(),
            r#"{"id":"b","type":"message","role":"user","model":"m","content":[],"stop_reason":null}"#.into(),
            "value at /id",
            "value at /id",
        ),
        // Tags may be all that a model has to say.
        (
            r#"{"meta":{"puid":"a","tags":{"class":"cat"}}}"#.into(),
            r#"{"meta":{"puid":"b","tags":{"class":"dog"}}}"#.into(),
            "value at /meta/tags/class",
            "value at /meta/puid; value at /meta/tags/class",
        ),
        // vLLM's answer to tokens, and what it says where the work of a request is handed over.
        (
            r#"{"request_id":"gen-1","model":"a","created":1,"choices":[{"index":0,"finish_reason":"stop","token_ids":[1,2]}],"kv_transfer_params":{"remote_block_ids":[1]}}"#.into(),
            r#"{"request_id":"gen-2","model":"b","created":2,"choices":[{"index":0,"finish_reason":"stop","token_ids":[1,2]}],"kv_transfer_params":{"remote_block_ids":[2]}}"#.into(),
            "",
            "value at /created by 1; value at /kv_transfer_params/remote_block_ids/0 by 1; value at /model; value at /request_id",
        ),
        (
            r#"{"request_id":"gen-1","choices":[{"index":0,"finish_reason":"stop","token_ids":[1,2]}]}"#.into(),
            r#"{"request_id":"gen-2","choices":[{"index":0,"finish_reason":"stop","token_ids":[1,3]}]}"#.into(),
            "value at /choices/0/token_ids/1 by 1",
            "value at /choices/0/token_ids/1 by 1; value at /request_id",
        ),
        (
            r#"{"request_id":"cat","choices":[{"p":0.9}]}"#.into(),
            r#"{"request_id":"dog","choices":[{"p":0.9}]}"#.into(),
            "value at /request_id",
            "value at /request_id",
        ),
        (
            r#"{"object":"chat.completion","choices":[{"message":{"content":"a"}}],"kv_transfer_params":{"remote_engine_id":"a"},"ec_transfer_params":{"a":1},"metrics":{"queue_time_ms":1.5}}"#.into(),
            r#"{"object":"chat.completion","choices":[{"message":{"content":"a"}}],"kv_transfer_params":{"remote_engine_id":"b"},"ec_transfer_params":{"a":2},"metrics":{"queue_time_ms":2.5}}"#.into(),
            "",
            "value at /ec_transfer_params/a by 1; value at /kv_transfer_params/remote_engine_id; value at /metrics/queue_time_ms by 1",
        ),
        // llama.cpp's completions.
        (
            completion("hello", 0, 3, 12.5),
            completion("hello", 1, 3, 13.5),
            "",
            "value at /id_slot by 1; value at /model; value at /timings/prompt_ms by 1",
        ),
        (
            completion("hello", 0, 3, 12.5),
            completion("bye", 1, 4, 13.5),
            "value at /content; value at /tokens_predicted by 1",
            "value at /content; value at /id_slot by 1; value at /model; value at /timings/prompt_ms by 1; value at /tokens_predicted by 1",
        ),
        (
            r#"{"content":"a","id_slot":0,"timings":{"a":1}}"#.into(),
            r#"{"content":"a","id_slot":1,"timings":{"a":2}}"#.into(),
            "value at /id_slot by 1; value at /timings/a by 1",
            "value at /id_slot by 1; value at /timings/a by 1",
        ),
        // No answer of these protocols.
        (r#"{"id":"cat","outputs":[1]}"#.into(), r#"{"id":"dog","outputs":[1]}"#.into(), "value at /id", "value at /id"),
        (
            r#"{"model_name":"cat","outputs":[{"name":"o"}],"n":1}"#.into(),
            r#"{"model_name":"dog","outputs":[{"name":"o"}],"n":1}"#.into(),
            "value at /model_name",
            "value at /model_name",
        ),
        (
            r#"{"object":"car","model":"a","data":[1]}"#.into(),
            r#"{"object":"car","model":"b","data":[1]}"#.into(),
            "value at /model",
            "value at /model",
        ),
        (
            r#"{"results":[],"model":"a","id":"x"}"#.into(),
            r#"{"results":[],"model":"b","id":"x"}"#.into(),
            "value at /model",
            "value at /model",
        ),
        (r#"{"id":"a","answer":1}"#.into(), r#"{"id":"b","answer":1}"#.into(), "value at /id", "value at /id"),
        (r#"{"meta":1,"data":[1]}"#.into(), r#"{"meta":2,"data":[1]}"#.into(), "value at /meta by 1", "value at /meta by 1"),
        (r#"{"predictions":[1],"model":"a"}"#.into(), r#"{"predictions":[1],"model":"b"}"#.into(), "value at /model", "value at /model"),
        // Of two protocols: everything counts.
        (r#"{"id":"a","outputs":[]}"#.into(), r#"{"id":"b","predictions":[]}"#.into(),
         "value at /id; missing at /outputs; extra at /predictions", "value at /id; missing at /outputs; extra at /predictions"),
    ] {
        assert_eq!(line(&plain(), &live, &shadow), expected, "{live} {shadow}");
        assert_eq!(line(&compare, &live, &shadow), all, "{live} {shadow}");
    }
    for (live, shadow) in THE_SAME {
        assert_eq!(line(&plain(), live, shadow), "", "{live} {shadow}");
        assert_ne!(line(&compare, live, shadow), "", "{live} {shadow}");
    }
}

/// The same prediction of one model behind two names.
const THE_SAME: [(&str, &str); 14] = [
    // Triton's generate.
    (
        r#"{"model_name":"llm","model_version":"1","text_output":"hello"}"#,
        r#"{"model_name":"llm-next","model_version":"2","text_output":"hello"}"#,
    ),
    // KServe's forecasts.
    (
        r#"{"id":"f-1","created_at":1795795088,"status":"completed","model":"a","outputs":[{"type":"time_series_forecast","id":"o-1","status":"completed","content":[{"type":"univariate_time_series","name":"s","mean_forecast":[1.5,2.5]}]}],"usage":null}"#,
        r#"{"id":"f-2","created_at":1795795093,"status":"completed","model":"b","outputs":[{"type":"time_series_forecast","id":"o-2","status":"completed","content":[{"type":"univariate_time_series","name":"s","mean_forecast":[1.5,2.5]}]}],"usage":null}"#,
    ),
    // Cohere's embed.
    (
        r#"{"id":"embd-1","embeddings":{"float":[[0.1,0.2]]},"texts":["a"],"meta":{"billed_units":{"input_tokens":3}},"response_type":"embeddings_by_type"}"#,
        r#"{"id":"embd-2","embeddings":{"float":[[0.1,0.2]]},"texts":["a"],"meta":{"billed_units":{"input_tokens":3}},"response_type":"embeddings_by_type"}"#,
    ),
    // OpenAI's images.
    (
        r#"{"created":1795795088,"data":[{"b64_json":"aa"}]}"#,
        r#"{"created":1795795093,"data":[{"b64_json":"aa"}]}"#,
    ),
    // A CloudEvent with an answer in it.
    (
        r#"{"specversion":"1.0","id":"36077800","source":"io.kserve.inference.iris","type":"io.kserve.inference.response","time":"2026-11-28T07:00:00.1Z","data":{"predictions":[1]}}"#,
        r#"{"specversion":"1.0","id":"c2d2f8b1","source":"io.kserve.inference.iris-v2","type":"io.kserve.inference.response","time":"2026-11-28T07:00:00.2Z","data":{"predictions":[1]}}"#,
    ),
    // OpenAI's lists and Cohere's, with nothing in them.
    (
        r#"{"id":"a","object":"list","created":1,"model":"m","data":[],"usage":{"total_tokens":1}}"#,
        r#"{"id":"b","object":"list","created":2,"model":"m","data":[],"usage":{"total_tokens":1}}"#,
    ),
    (
        r#"{"id":"a","model":"m","results":[],"usage":{"total_tokens":1}}"#,
        r#"{"id":"b","model":"m","results":[],"usage":{"total_tokens":1}}"#,
    ),
    (
        r#"{"id":"a","results":[],"meta":{"api_version":{"version":"2"}}}"#,
        r#"{"id":"b","results":[],"meta":{"api_version":{"version":"2"}}}"#,
    ),
    // SGLang's own: one, several, and embeddings.
    (
        r#"{"text":"hello","output_ids":[3],"meta_info":{"id":"4f","finish_reason":{"type":"stop","matched":2},"prompt_tokens":3,"weight_version":"default","total_retractions":0,"queue_time":0.1,"completion_tokens":1,"cached_tokens":0,"e2e_latency":0.21,"request_received_ts":1795795088.5}}"#,
        r#"{"text":"hello","output_ids":[3],"meta_info":{"id":"9c","finish_reason":{"type":"stop","matched":2},"prompt_tokens":3,"weight_version":"default","total_retractions":0,"queue_time":0.2,"completion_tokens":1,"cached_tokens":2,"e2e_latency":0.19,"request_received_ts":1795795089.5}}"#,
    ),
    (
        r#"[{"text":"a","meta_info":{"id":"4f","finish_reason":{"type":"stop"},"e2e_latency":0.2}},{"text":"b","meta_info":{"id":"50","finish_reason":{"type":"stop"},"e2e_latency":0.2}}]"#,
        r#"[{"text":"a","meta_info":{"id":"9c","finish_reason":{"type":"stop"},"e2e_latency":0.3}},{"text":"b","meta_info":{"id":"9d","finish_reason":{"type":"stop"},"e2e_latency":0.3}}]"#,
    ),
    (
        r#"{"text":"hello","output_ids":[3],"meta_info":{"id":"4f","finish_reason":{"type":"stop"},"completion_tokens":9,"spec_verify_ct":4,"spec_accept_length":2.2,"spec_accept_rate":0.4,"spec_accept_token_num":5,"spec_draft_token_num":12,"spec_accept_histogram":[1,1,2]}}"#,
        r#"{"text":"hello","output_ids":[3],"meta_info":{"id":"9c","finish_reason":{"type":"stop"},"completion_tokens":9,"spec_verify_ct":5,"spec_accept_length":1.8,"spec_accept_rate":0.3,"spec_accept_token_num":4,"spec_draft_token_num":15,"spec_accept_histogram":[2,2,1]}}"#,
    ),
    (
        r#"{"id":"resp_1","object":"response","model":"m","output":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAA1"},{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"hello"}]}]}"#,
        r#"{"id":"resp_2","object":"response","model":"m","output":[{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAAAB2"},{"type":"message","id":"msg_2","content":[{"type":"output_text","text":"hello"}]}]}"#,
    ),
    (
        r#"{"embedding":[0.1,0.2],"meta_info":{"id":"4f","finish_reason":{"type":"stop"},"prompt_tokens":3,"e2e_latency":0.2}}"#,
        r#"{"embedding":[0.1,0.2],"meta_info":{"id":"9c","finish_reason":{"type":"stop"},"prompt_tokens":3,"e2e_latency":0.3}}"#,
    ),
    (
        r#"{"created":1,"data":[{"url":"http://a"}],"usage":{"total_tokens":1}}"#,
        r#"{"created":2,"data":[{"url":"http://a"}],"usage":{"total_tokens":2}}"#,
    ),
];

/// What the same answers have to say, and what only looks like them.
#[test]
fn what_is_said_beside_names_and_times_counts() {
    for (live, shadow, expected) in [
        (
            r#"{"model_name":"llm","model_version":"1","text_output":"hello"}"#,
            r#"{"model_name":"llm","model_version":"2","text_output":"bye"}"#,
            "value at /text_output",
        ),
        // Without outputs there is nothing that the names are beside.
        (r#"{"model_name":"m","id":"cat"}"#, r#"{"model_name":"m","id":"dog"}"#, "value at /id"),
        (
            r#"{"modelSpec":{"name":"cat"}}"#,
            r#"{"modelSpec":{"name":"dog"}}"#,
            "value at /modelSpec/name",
        ),
        (
            r#"{"object":"list","id":"cat","data":[]}"#,
            r#"{"object":"list","id":"dog","data":[]}"#,
            "value at /id",
        ),
        (
            r#"{"text":"a","meta_info":{"id":"1","finish_reason":{"type":"stop"},"completion_tokens":1}}"#,
            r#"{"text":"b","meta_info":{"id":"2","finish_reason":{"type":"length"},"completion_tokens":2}}"#,
            "value at /meta_info/completion_tokens by 1; value at /meta_info/finish_reason/type; value at /text",
        ),
        (
            r#"[{"text":"a","meta_info":{"id":"1","finish_reason":null}}]"#,
            r#"[{"text":"b","meta_info":{"id":"2","finish_reason":null}}]"#,
            "class at /0/text",
        ),
        (
            r#"{"text":"a","meta_info":{"id":"cat"}}"#,
            r#"{"text":"a","meta_info":{"id":"dog"}}"#,
            "value at /meta_info/id",
        ),
        (
            r#"{"model_name":"corsa","price":1.5}"#,
            r#"{"model_name":"astra","price":1.5}"#,
            "value at /model_name",
        ),
        (
            r#"{"model":"a","outputs":[{"type":"time_series_forecast","id":"1","content":[{"mean_forecast":[1.5,2.5]}]}]}"#,
            r#"{"model":"b","outputs":[{"type":"time_series_forecast","id":"2","content":[{"mean_forecast":[1.5,2.75]}]}]}"#,
            "score at /outputs/0/content/0/mean_forecast/1 by 0.25",
        ),
        // The highest of several times is no decision.
        (
            r#"{"model":"a","outputs":[{"type":"time_series_forecast","id":"1","content":[{"mean_forecast":[2.75,2.5]}]}]}"#,
            r#"{"model":"b","outputs":[{"type":"time_series_forecast","id":"2","content":[{"mean_forecast":[2.5,2.75]}]}]}"#,
            "score at /outputs/0/content/0/mean_forecast/0 by 0.25; score at /outputs/0/content/0/mean_forecast/1 by 0.25",
        ),
        (
            r#"{"model":"a","outputs":[{"type":"car","id":"1"}]}"#,
            r#"{"model":"a","outputs":[{"type":"car","id":"2"}]}"#,
            "class at /outputs/0/id",
        ),
        (
            r#"{"id":"a","embeddings":{"float":[[0.1,0.2]]},"response_type":"embeddings_by_type"}"#,
            r#"{"id":"b","embeddings":{"float":[[0.1,0.3]]},"response_type":"embeddings_by_type"}"#,
            "value at /embeddings/float/0/1 by 0.1",
        ),
        (
            r#"{"created":1,"data":[{"b64_json":"aa"}]}"#,
            r#"{"created":2,"data":[{"b64_json":"bb"}]}"#,
            "value at /data/0/b64_json",
        ),
        (
            r#"{"created":1,"data":[{"name":"aa"}]}"#,
            r#"{"created":2,"data":[{"name":"aa"}]}"#,
            "value at /created by 1",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"predictions":[1]}}"#,
            r#"{"specversion":"1.0","id":"2","source":"s","type":"t","data":{"predictions":[2]}}"#,
            "class at /data/predictions/0 by 1",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"outputs":[{"name":"o","datatype":"FP32","shape":[1,2],"data":[0.9,0.1]}]}}"#,
            r#"{"specversion":"1.0","id":"2","source":"s","type":"t","data":{"outputs":[{"name":"o","datatype":"FP32","shape":[1,2],"data":[0.1,0.9]}]}}"#,
            "class at /data/outputs/0/data/0 by 0.8",
        ),
    ] {
        assert_eq!(line(&plain(), live, shadow), expected, "{live} {shadow}");
    }
}

/// Where both refuse, the words may name the model, and no prediction is there to be compared.
#[test]
fn why_both_refuse_says_nothing() {
    let refused = |status: &str, name: &str| {
        let head = head(status, "application/json");
        let body = |name| format!(r#"{{"error":"Model {name} not found"}}"#);
        let (live, shadow) = (body("nope"), body(name));
        shown(&plain().compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    assert_eq!(refused("404", "nope-v2"), "");
    let unsaid =
        |at: &str| format!("uncomparable: they differ at {at}, where both say why they refuse");
    for status in ["400", "422", "500"] {
        assert_eq!(refused(status, "nope-v2"), unsaid("/error"));
        assert_eq!(refused(status, "nope"), "");
    }
    assert_eq!(refused("200", "nope-v2"), "value at /error");
    let of_openai = |status: &str, form: &str| {
        let head = head(status, "application/json");
        let (live, shadow) = (form.replace('$', "nope"), form.replace('$', "nope-v2"));
        shown(&plain().compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    for (form, at) in [
        (r#"{"error":{"message":"The model `$` does not exist.","code":404}}"#, "/error/message"),
        (r#"{"object":"error","message":"The model `$` does not exist.","code":404}"#, "/message"),
    ] {
        assert_eq!(of_openai("404", form), "", "{form}");
        assert_eq!(of_openai("400", form), unsaid(at), "{form}");
    }
    let at = |rules: &Rules, status: &str, media: &str, live: &str, shadow: &str| {
        let head = head(status, media);
        shown(&rules.compare(
            Whole { head: &head, body: live.as_bytes() },
            Whole { head: &head, body: shadow.as_bytes() },
            &About::default(),
        ))
    };
    // Triton's are JSON, whatever it says.
    let (live, shadow) = (r#"{"error":"unknown model: 'a'"}"#, r#"{"error":"unknown model: 'b'"}"#);
    assert_eq!(at(&plain(), "404", "text/plain", live, shadow), "");
    assert_eq!(at(&plain(), "400", "text/plain", live, shadow), unsaid("/error"));
    assert_eq!(at(&plain(), "200", "text/plain", live, shadow), "bytes at byte 26");
    // What else is said counts.
    let coded = |code: u32, name: &str| {
        format!(r#"{{"object":"error","message":"no {name}","code":{code}}}"#)
    };
    assert_eq!(
        at(&plain(), "400", "application/json", &coded(1, "a"), &coded(2, "b")),
        "value at /code by 1"
    );
    let compare = Rules { volatile: None, ..plain() };
    assert_eq!(at(&compare, "400", "application/json", live, shadow), "value at /error");
    // Text that is no JSON, or begins like it.
    for (live, shadow) in [("no a", "no b"), ("{no a}", "{no b}")] {
        let words = "uncomparable: both refuse, in words of their own";
        assert_eq!(at(&plain(), "503", "text/plain", live, shadow), words);
        assert_eq!(at(&plain(), "503", "text/plain", live, live), "");
        let differ = format!("bytes at byte {}", live.find('a').unwrap());
        assert_eq!(at(&plain(), "200", "text/plain", live, shadow), differ);
        assert_eq!(at(&compare, "503", "text/plain", live, shadow), differ);
    }
}

/// An outlier detector writes its verdict into the tags of an answer, perhaps beside a place for a
/// prediction that holds none.
#[test]
fn tags_count_where_nothing_else_is_said() {
    let answer = |content: &str, tags: &str| {
        let comma = if content.is_empty() { "" } else { "," };
        format!(
            r#"{{"meta":{{"puid":"{tags}","metrics":[{{"value":{tags}}}],"tags":{{"outlier":{tags}}}}}{comma}{content}}}"#
        )
    };
    for nothing in [
        "",
        r#""data":{}"#,
        r#""data":{"ndarray":[]}"#,
        r#""data":{"ndarray":[[]]}"#,
        r#""data":{"ndarray":[[null,""]]}"#,
        r#""data":{"ndarray":null}"#,
        r#""data":{"names":["a"],"ndarray":[]}"#,
        r#""data":{"tensor":{"shape":[0],"values":[]}}"#,
        r#""data":{"names":["a","b"]}"#,
        r#""jsonData":{}"#,
        r#""jsonData":null"#,
        r#""strData":"""#,
        r#""binData":"""#,
    ] {
        let found = line(&plain(), &answer(nothing, "1"), &answer(nothing, "2"));
        assert_eq!(found, "value at /meta/tags/outlier by 1", "{nothing}");
        assert_eq!(line(&plain(), &answer(nothing, "1"), &answer(nothing, "1.0")), "", "{nothing}");
    }
    for something in [
        r#""data":{"ndarray":[0]}"#,
        r#""data":{"ndarray":[[null,0.5]]}"#,
        r#""data":{"ndarray":[""," "]}"#,
        r#""data":{"tensor":{"shape":[1],"values":[0]}}"#,
        r#""data":{"tftensor":{"dtype":"DT_FLOAT"}}"#,
        r#""jsonData":{"a":false}"#,
        r#""strData":"a""#,
    ] {
        assert_eq!(line(&plain(), &answer(something, "1"), &answer(something, "2")), "");
    }
    // Of the shadow alone: its tags are all that it says.
    let (some, none) = (r#""data":{"ndarray":[1]}"#, r#""data":{"ndarray":[]}"#);
    assert_eq!(
        line(&plain(), &answer(some, "1"), &answer(none, "2")),
        "shape at /data/ndarray by 1; value at /meta/tags/outlier by 1"
    );
}
