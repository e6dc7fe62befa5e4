package interop_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// startPeal runs `peal serve` on a free port, as a node of the cluster on the Redis. Its clients may publish as fast as
// they can.
func startPeal(t *testing.T, redisURL string, flags ...string) *program {
	t.Helper()
	p := start(t, built(t, pealBinary), append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--max-publish-rate", "1000000", "--cluster", redisURL}, flags...)...)
	// A node serves before it has joined the cluster, and says so only when asked.
	for deadline := time.Now().Add(patience); p.get(t, "/readyz") != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not join the cluster", p.addr)
		}
	}
	return p
}

// get returns the status of a GET. An unready node answers only after it has probed its cluster, or a second later.
func (p *program) get(t *testing.T, path string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// publication is the body of POST /v1/publish and the argument of a client's "publish".
type publication struct {
	Event  string   `json:"event"`
	Rooms  []string `json:"rooms,omitempty"`
	Except []string `json:"except,omitempty"`
	Args   []any    `json:"args"`
}

// publish publishes over the program's HTTP API.
func (p *program) publish(t *testing.T, publication publication) {
	t.Helper()
	body, err := json.Marshal(publication)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url()+"/v1/publish", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("publishing on %s: %v", p.addr, err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode/100 != 2 {
		t.Fatalf("publishing on %s: %s: %s", p.addr, response.Status, answer)
	}
}
