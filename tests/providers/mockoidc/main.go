// mockoidc on a free loopback port. Prints its settings as a line of JSON once it listens. A request with the
// header `x-ago: 2h` is answered as if it had come two hours before.
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/oauth2-proxy/mockoidc"
)

func main() {
	server, err := mockoidc.NewServer(nil)
	if err != nil {
		log.Fatal(err)
	}
	var clock sync.Mutex
	earlier := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			clock.Lock()
			defer clock.Unlock()
			ago, _ := time.ParseDuration(r.Header.Get("x-ago"))
			server.FastForward(-ago)
			defer server.FastForward(ago)
			next.ServeHTTP(w, r)
		})
	}
	if err := server.AddMiddleware(earlier); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(listener, nil); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(server.Config()); err != nil {
		log.Fatal(err)
	}
	select {}
}
