;; The least that any module does which carries a request's decision out: it reads the headers once,
;; sets the path, sets one header and removes one. What modelgate costs beyond this is its own work.
(module
  (import "env" "proxy_get_header_map_pairs"
    (func $get_pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value"
    (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value"
    (func $remove (param i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) ":path")
  (data (i32.const 8) "/seldon/prod/iris/api/v1.0/predictions")
  (data (i32.const 64) "x-user")
  (data (i32.const 72) "user-1")
  (data (i32.const 80) "authorization")
  (func (export "proxy_abi_version_0_2_1"))
  ;; Everything that the host hands over lives as long as one call: one place is enough.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get_pairs (i32.const 0) (i32.const 128) (i32.const 132)))
    (drop (call $remove (i32.const 0) (i32.const 80) (i32.const 13)))
    (drop (call $replace (i32.const 0) (i32.const 64) (i32.const 6) (i32.const 72) (i32.const 6)))
    (drop (call $replace (i32.const 0) (i32.const 0) (i32.const 5) (i32.const 8) (i32.const 38)))
    (i32.const 0)))
