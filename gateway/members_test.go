package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/peal-dev/peal/gateway"
)

type membersReply struct {
	Namespace string
	Total     int
	Members   []struct {
		ID, Kind, Transport, Address string
		Rooms                        []string
	}
}

func (n *node) members(query string) (reply membersReply) {
	n.t.Helper()
	res, body := n.do(http.MethodGet, "/v1/members?"+query, "")
	if err := json.Unmarshal([]byte(body), &reply); err != nil || res.StatusCode != http.StatusOK {
		n.t.Fatalf("GET /v1/members?%s: %s %s", query, res.Status, body)
	}
	return reply
}

func TestRoomsAndMembers(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true, Namespaces: []string{"/", "/chat"}})
	socket := n.connect("/", "")
	if got := socket.ask("subscribe", `["lobby","kitchen, and more"]`); !strings.Contains(got, `"ok":true`) {
		t.Fatal(got)
	}
	stream := n.stream("?room=lobby")
	elsewhere := n.connect("/chat", "")
	elsewhere.ask("subscribe", `"den"`)

	if _, body := n.do(http.MethodGet, "/v1/rooms", ""); body != `{"namespace":"/","total":2,"rooms":[{"room":"lobby","members":2},{"room":"kitchen, and more","members":1}]}`+"\n" {
		t.Errorf("rooms: %s", body)
	}
	if _, body := n.do(http.MethodGet, "/v1/rooms?namespace=/chat", ""); !strings.Contains(body, `"rooms":[{"room":"den","members":1}]`) {
		t.Errorf("rooms of /chat: %s", body)
	}
	all := n.members("")
	if all.Total != 2 || all.Namespace != "/" || len(n.members("room=lobby").Members) != 2 || n.members("room=nobody").Total != 0 {
		t.Errorf("members: %+v", all)
	}
	in := n.members("room=" + url.QueryEscape("kitchen, and more"))
	if len(in.Members) != 1 {
		t.Fatalf("members: %+v", in)
	}
	if m := in.Members[0]; m.Kind != "socket" || m.Transport != "websocket" || m.Address == "" || !slices.Equal(m.Rooms, []string{"kitchen, and more", "lobby"}) {
		t.Errorf("the socket: %+v", m)
	}
	// Each is disconnected by its id, and nobody else is.
	for _, m := range all.Members {
		if res, body := n.do(http.MethodPost, "/v1/disconnect", fmt.Sprintf(`{"member":%q}`, m.ID)); res.StatusCode != http.StatusOK {
			t.Errorf("disconnecting the %s: %s %s", m.Kind, res.Status, body)
		}
	}
	socket.want("41")
	if event, err := stream.Next(); err == nil {
		t.Errorf("the stream goes on with %v", event)
	}
	if left := n.members("namespace=/chat"); left.Total != 1 {
		t.Errorf("in /chat: %+v", left)
	}
}

func TestWhoMayLookAndDisconnect(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{APIKey: "k", AnonymousSubscribe: true})
	for _, path := range []string{"/v1/rooms", "/v1/members", "/v1/nodes"} {
		if res, body := n.do(http.MethodGet, path, ""); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET %s without key: %s %s", path, res.Status, body)
		}
		if res, body := n.do(http.MethodGet, path, "", "Authorization", "Bearer k"); res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s %s", path, res.Status, body)
		}
		if res, _ := n.do(http.MethodPost, path, "", "Authorization", "Bearer k"); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %s", path, res.Status)
		}
	}
	for _, test := range []struct {
		body   string
		header []string
		status int
		code   string
	}{
		{`{"member":"x"}`, nil, 401, "token_required"},
		{`{"member":"x"}`, []string{"Authorization", "Bearer no"}, 401, "invalid_token"},
		{`{"member":"x"}`, []string{"Authorization", "Bearer k", "Origin", "https://evil.example"}, 403, "origin_not_allowed"},
		{`{"member":""}`, []string{"Authorization", "Bearer k"}, 400, "invalid_request"},
		{`{"rooms":["a"]}`, []string{"Authorization", "Bearer k"}, 400, "invalid_request"},
		{`[`, []string{"Authorization", "Bearer k"}, 400, "invalid_request"},
		{`{"member":"x","namespace":"/none"}`, []string{"Authorization", "Bearer k"}, 404, "unknown_namespace"},
		{fmt.Sprintf(`{"member":%q}`, strings.Repeat("x", 300)), []string{"Authorization", "Bearer k"}, 400, "invalid_room"},
	} {
		res, body := n.do(http.MethodPost, "/v1/disconnect", test.body, test.header...)
		if code, _ := errorOf(t, body); res.StatusCode != test.status || code != test.code {
			t.Errorf("%.40s: %s %s, want %d %s", test.body, res.Status, body, test.status, test.code)
		}
	}
}

// A node with very many rooms answers with those that matter.
func TestListsAreShort(t *testing.T) {
	t.Parallel()
	n := startNode(t, gateway.Config{Dev: true})
	names := make([]string, 300)
	for i := range names {
		names[i] = fmt.Sprintf("room %03d", i)
	}
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	n.connect("/", "").ask("subscribe", string(list))
	n.connect("/", "").ask("subscribe", `"room 299"`)
	var reply struct {
		Total int
		Rooms []struct{ Room string }
	}
	_, body := n.do(http.MethodGet, "/v1/rooms", "")
	if err := json.Unmarshal([]byte(body), &reply); err != nil || reply.Total != 300 || len(reply.Rooms) != 100 || reply.Rooms[0].Room != "room 299" {
		t.Errorf("%v: %d rooms of %d, %.80s", err, len(reply.Rooms), reply.Total, body)
	}
}
