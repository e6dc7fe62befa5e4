package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
)

// A session that was opened with a token goes on with a token only, and one that was not goes on without.
func TestRecoveryAsksForTheToken(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: "key", AnonymousPublish: true, Recovery: time.Minute})
	type connected struct{ SID, PID string }
	answer := func(c *client) (got connected) {
		t.Helper()
		raw, ok := strings.CutPrefix(c.connected, "40")
		if !ok || json.Unmarshal([]byte(raw), &got) != nil || got.PID == "" {
			t.Fatalf("no CONNECT with a pid but %q", c.connected)
		}
		return got
	}

	c := n.connect("/", `{"token":"key"}`)
	first := answer(c)
	if got := c.ask("subscribe", `["room"]`); !strings.Contains(got, `"ok":true`) {
		t.Fatal(got)
	}
	// Back before the node knows that the connection is dead.
	again := answer(n.connect("/", fmt.Sprintf(`{"token":"key","pid":%q}`, first.PID)))
	if again != first {
		t.Fatalf("was %v, came back as %v", first, again)
	}
	if in := n.membersOf("room", "Authorization", "Bearer key"); in != 1 {
		t.Fatalf("%d members in the room", in)
	}
	for _, auth := range []string{`{"pid":%q}`, `{"token":"another","pid":%q}`} {
		last := answer(n.connect("/", `{"token":"key"}`))
		if got := n.connect("/", fmt.Sprintf(auth, last.PID)).connected; !strings.HasPrefix(got, "44") || !strings.Contains(got, "invalid_token") {
			t.Errorf("with %s: %s", auth, got)
		}
	}
	anonymous := answer(n.connect("/", ""))
	if again := answer(n.connect("/", fmt.Sprintf(`{"pid":%q}`, anonymous.PID))); again != anonymous {
		t.Errorf("was %v, came back as %v", anonymous, again)
	}
}

// membersOf returns how many are in a room.
func (n *node) membersOf(room string, header ...string) int {
	n.t.Helper()
	_, body := n.do("GET", "/v1/members?room="+room, "", header...)
	var reply membersReply
	if err := json.Unmarshal([]byte(body), &reply); err != nil {
		n.t.Fatalf("%s: %v", body, err)
	}
	return reply.Total
}
